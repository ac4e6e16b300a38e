/**
 * The one table of layer operators: {sign data, float data} × {Conv, Gemm} × epilogue.
 *
 *     y = scale[o] · e(acc) + bias[o] (+ residual),   e = identity or max(·, 0)
 *
 * ReLU acts on the accumulator, before the scale, so that an exact 0 stays 0 and the scale may have either sign.
 */

export interface LayerVariant {
  readonly layer: 'Conv' | 'Gemm';
  /** True when only the weights are binary: the data input is used as it is. */
  readonly weightOnly: boolean;
  readonly relu: boolean;
  readonly add: boolean;
}

const EPILOGUES = [
  { suffix: '', relu: false, add: false },
  { suffix: 'Relu', relu: true, add: false },
  { suffix: 'Add', relu: false, add: true },
  { suffix: 'ReluAdd', relu: true, add: true },
] as const;

const OPERANDS = [
  { prefix: 'Binary', weightOnly: false },
  { prefix: 'BinaryWeight', weightOnly: true },
] as const;

/** Variants of one kind of layer by operator name, in a fixed order. */
export function variantsOf(layer: 'Conv' | 'Gemm'): ReadonlyMap<string, LayerVariant> {
  const variants = new Map<string, LayerVariant>();
  for (const { prefix, weightOnly } of OPERANDS) {
    for (const { suffix, relu, add } of EPILOGUES) {
      variants.set(`${prefix}${layer}${suffix}`, { layer, weightOnly, relu, add });
    }
  }
  return variants;
}

/** All layer operators by name. */
export const LAYER_VARIANTS: ReadonlyMap<string, LayerVariant> = new Map([
  ...variantsOf('Conv'),
  ...variantsOf('Gemm'),
]);

/** The operator name of a variant. */
export function variantName(variant: LayerVariant): string {
  const epilogue = `${variant.relu ? 'Relu' : ''}${variant.add ? 'Add' : ''}`;
  return `${variant.weightOnly ? 'BinaryWeight' : 'Binary'}${variant.layer}${epilogue}`;
}
