/**
 * The one table of layer operators: data × {Conv, Gemm} × epilogue.
 *
 *     z = scale[o] · e(acc) + bias[o] (+ residual),   e = identity or max(·, 0)
 *     y = z,  or prelu(z, slope[o]) + offset[o],      prelu(z, a) = a · z where z < 0, else z
 *     y = +1 where acc ≥ acc_threshold[o], else −1    (Sign, in place of all that)
 *
 * ReLU acts on the accumulator, before the scale, so that an exact 0 stays 0 and the scale may have either sign. An operator of the
 * family Threshold takes +1 for x ≥ x_threshold[c], one threshold per input channel, the others for x ≥ 0.
 */

import type { Node } from '../graph/graph.ts';
import { BNN_DOMAIN } from './definition.ts';

export interface LayerVariant {
  readonly layer: 'Conv' | 'Gemm';
  /** True when only the weights are binary: the data input is used as it is. */
  readonly weightOnly: boolean;
  /** True when the data are compared with a threshold per input channel rather than with 0. */
  readonly threshold: boolean;
  readonly relu: boolean;
  readonly add: boolean;
  readonly prelu: boolean;
  /** True when the result is ±1. */
  readonly sign: boolean;
}

const NONE = { relu: false, add: false, prelu: false, sign: false } as const;

/** Epilogues of every family. */
const COMMON = [
  { suffix: '', ...NONE },
  { suffix: 'Relu', ...NONE, relu: true },
  { suffix: 'Add', ...NONE, add: true },
  { suffix: 'ReluAdd', ...NONE, relu: true, add: true },
] as const;

/** Those of layers with binary data too. */
const BINARY = [
  ...COMMON,
  { suffix: 'PRelu', ...NONE, prelu: true },
  { suffix: 'AddPRelu', ...NONE, add: true, prelu: true },
  { suffix: 'Sign', ...NONE, sign: true },
] as const;

const FAMILIES = [
  { prefix: 'Binary', weightOnly: false, threshold: false, layers: ['Conv', 'Gemm'], epilogues: BINARY },
  { prefix: 'BinaryThreshold', weightOnly: false, threshold: true, layers: ['Conv'], epilogues: BINARY },
  { prefix: 'BinaryWeight', weightOnly: true, threshold: false, layers: ['Conv', 'Gemm'], epilogues: COMMON },
] as const;

/** Variants of one kind of layer by operator name, in a fixed order. */
export function variantsOf(layer: 'Conv' | 'Gemm'): ReadonlyMap<string, LayerVariant> {
  const variants = new Map<string, LayerVariant>();
  for (const { prefix, weightOnly, threshold, layers, epilogues } of FAMILIES) {
    if (!(layers as readonly string[]).includes(layer)) continue;
    for (const { suffix, ...epilogue } of epilogues) {
      variants.set(`${prefix}${layer}${suffix}`, { layer, weightOnly, threshold, ...epilogue });
    }
  }
  return variants;
}

/** All layer operators by name. */
export const LAYER_VARIANTS: ReadonlyMap<string, LayerVariant> = new Map([
  ...variantsOf('Conv'),
  ...variantsOf('Gemm'),
]);

/** The variant that only scales and adds a bias. */
export function plainVariant(layer: LayerVariant['layer'], weightOnly: boolean): LayerVariant {
  return { layer, weightOnly, threshold: false, ...NONE };
}

const keyOf = (v: LayerVariant) =>
  [v.layer, v.weightOnly, v.threshold, v.relu, v.add, v.prelu, v.sign].map(String).join();
const NAMES: ReadonlyMap<string, string> = new Map([...LAYER_VARIANTS].map(([name, v]) => [keyOf(v), name]));

/** The operator name of a variant; undefined when the table has none. */
export function variantName(variant: LayerVariant): string | undefined {
  return NAMES.get(keyOf(variant));
}

/** The variant of a packed layer; undefined for any other node. */
export function packedVariant({ domain, op }: Pick<Node, 'domain' | 'op'>): LayerVariant | undefined {
  return domain === BNN_DOMAIN ? LAYER_VARIANTS.get(op) : undefined;
}
