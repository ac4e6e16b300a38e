/** The `bnn` operators. */

import { isDtype } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { LAYER_VARIANTS, type LayerVariant } from '../../operators/variants.ts';
import { checkPlane, denseShape, Layer, type LayerKind, type LayerShape, type LayerVector } from '../layer.ts';
import type { Operator, StepContext } from '../step.ts';

/** Inputs after x and w, in order. */
function inputNames(variant: LayerVariant): (LayerVector | 'residual')[] {
  return [
    ...(variant.sign ? (['acc_threshold'] as const) : (['scale', 'bias'] as const)),
    ...(variant.add ? (['residual'] as const) : []),
    ...(variant.prelu ? (['slope', 'offset'] as const) : []),
    ...(variant.threshold ? (['x_threshold'] as const) : []),
  ];
}

function shapeOf({ node }: StepContext, variant: LayerVariant, outputs: number): LayerShape {
  const channels = node.int('channels', 0);
  if (variant.layer === 'Gemm') return denseShape(channels, outputs);
  return {
    kernel: node.ints('kernel_shape', []),
    strides: node.ints('strides', []),
    pads: node.ints('pads', []),
    dilations: node.ints('dilations', []),
    groups: node.int('group', 1),
    channels,
    outputs,
  };
}

/** The vectors of a layer are constants in every file that the compiler writes. */
function floatsOf(context: StepContext, index: number, name: string): Float32Array {
  const tensor = context.constant(index);
  if (tensor === undefined || !isDtype(tensor, 'float32')) {
    throw new BnnError('E_FORMAT', `input ${name} is ${tensor?.dtype ?? 'missing'}, expected float32`, {
      at: context.at,
    });
  }
  return tensor.data;
}

function layerOperator(variant: LayerVariant): Operator {
  const data = variant.weightOnly ? 'binaryWeight' : 'binary';
  const kind: LayerKind = `${data}${variant.layer === 'Gemm' ? 'Dense' : 'Conv'}`;
  const names = inputNames(variant);
  return (context) => {
    const weights = context.constant(1);
    if (weights === undefined) throw new BnnError('E_FORMAT', 'input w is missing', { at: context.at });
    const layer = context.layer(shapeOf(context, variant, weights.shape[0] ?? 0), (shape) => {
      const made = new Layer(context.engine, kind, shape, weights, context.at);
      for (const [i, name] of names.entries()) {
        if (name !== 'residual') made.setVector(name, floatsOf(context, i + 2, name), context.at);
      }
      return made;
    });
    runLayer(context, layer, names.includes('residual') ? names.indexOf('residual') + 2 : null, variant.relu);
  };
}

/** Adds the step of a layer whose input 0 is f32[N, C, H, W], or f32[N, C] when it is dense. */
export function runLayer(context: StepContext, layer: Layer, residualIndex: number | null, relu: boolean): void {
  const x = context.input(0);
  const residual = residualIndex === null ? null : context.input(residualIndex);
  const [batch = 0, , height = 1, width = 1] = x.shape;
  checkPlane(layer.shape, height, width, context.at);
  const y = context.output();
  context.run(() => layer.run({ batch, height, width }, x.pointer(), residual?.pointer() ?? 0, relu, y.pointer()));
}

export const sign: Operator = (context) => {
  const x = context.input(0);
  const count = x.shape.reduce((a, b) => a * b, 1);
  const y = context.output();
  context.run(() => context.engine.calls.sign(x.pointer(), count, y.pointer()));
};

export const LAYER_OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...[...LAYER_VARIANTS].map(([name, variant]) => [`bnn.${name}`, layerOperator(variant)] as const),
  ['bnn.Sign', sign],
]);
