/** Conv, Gemm and MatMul with constant float weights. */

import { broadcastShapes, elementCount } from '../../core/tensors/shape.ts';
import { float32, isDtype, type Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { windowPads } from '../../graph/window-pads.ts';
import { broadcastStrides } from '../../rewriting/exact/evaluator.ts';
import { checkPlane, denseShape, Layer, type LayerShape } from '../layer.ts';
import type { Operator, StepContext } from '../step.ts';
import { perChannel } from './elementwise.ts';
import { multiply } from './matmul.ts';

const ones = (count: number): Float32Array => new Float32Array(count).fill(1);

function weightsOf(context: StepContext, index: number): Tensor<'float32'> {
  const tensor = context.constant(index);
  if (tensor === undefined || !isDtype(tensor, 'float32')) {
    throw new BnnError('E_UNSUPPORTED', `weights are ${tensor?.dtype ?? 'missing'}, expected float32`, {
      at: context.at,
    });
  }
  return tensor;
}

function floatLayer(
  context: StepContext,
  kind: 'floatConv' | 'floatDense',
  shape: LayerShape,
  weights: Tensor,
  bias: Tensor | undefined,
): Layer {
  const layer = new Layer(context.engine, kind, shape, weights, context.at);
  layer.setVector('scale', ones(shape.outputs), context.at);
  layer.setVector('bias', biasOf(bias, shape.outputs, context.at), context.at);
  return layer;
}

function biasOf(bias: Tensor | undefined, outputs: number, at: string): Float32Array {
  if (bias === undefined) return new Float32Array(outputs);
  if (!isDtype(bias, 'float32') || (bias.data.length !== outputs && bias.data.length !== 1)) {
    const found = `${bias.dtype}[${bias.shape.join(', ')}]`;
    throw new BnnError('E_SHAPE', `the bias is ${found}, expected float32[${outputs}]`, { at });
  }
  return bias.data.length === outputs ? bias.data : new Float32Array(outputs).fill(bias.data[0] ?? 0);
}

export interface WindowAttributes {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** All beginnings, then all ends. */
  readonly pads: readonly number[];
}

/** Attributes of a window that slides over the axes after the second one. */
export function windowOf({ node, input }: StepContext, kernelShape?: readonly number[]): WindowAttributes {
  const sizes = input(0).shape.slice(2);
  const all = (value: number): number[] => sizes.map(() => value);
  const kernel = node.ints('kernel_shape', kernelShape ?? all(1));
  const strides = node.ints('strides', all(1));
  const dilations = node.ints('dilations', all(1));
  const pairs = windowPads(node, sizes, kernel) ?? [];
  return { kernel, strides, dilations, pads: [...pairs.map(([begin]) => begin), ...pairs.map(([, end]) => end)] };
}

/** One spatial axis is a row of height 1. */
function asPlane({ kernel, strides, dilations, pads }: WindowAttributes): WindowAttributes {
  if (kernel.length === 2) return { kernel, strides, dilations, pads };
  const [begin = 0, end = 0] = pads;
  return {
    kernel: [1, ...kernel],
    strides: [1, ...strides],
    dilations: [1, ...dilations],
    pads: [0, begin, 0, end],
  };
}

const conv: Operator = (context) => {
  const x = context.input(0);
  const weights = weightsOf(context, 1);
  if (x.shape.length !== 4 && x.shape.length !== 3) {
    throw new BnnError('E_UNSUPPORTED', `Conv over ${x.shape.length - 2} axes, expected 1 or 2`, { at: context.at });
  }
  const window = asPlane(windowOf(context, weights.shape.slice(2)));
  const [outputs = 0, channels = 0] = weights.shape;
  const shape = { ...window, groups: context.node.int('group', 1), channels, outputs };
  const layer = context.layer(shape, () => floatLayer(context, 'floatConv', shape, weights, context.constant(2)));
  // The same operands with the axis that a 1-D convolution lacks.
  const [batch = 0, , ...sizes] = x.shape;
  const [height = 1, width = 1] = sizes.length === 1 ? [1, ...sizes] : sizes;
  checkPlane(shape, height, width, context.at);
  const y = context.output();
  context.run(() => layer.run({ batch, height, width }, x.pointer(), 0, false, y.pointer()));
};

/** f32[K][N] as f32[N][K]. */
function transposed({ shape, data }: Tensor<'float32'>): Tensor<'float32'> {
  const [rows = 0, columns = 0] = shape;
  const result = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c] ?? 0;
  return float32([columns, rows], result);
}

function scaled(t: Tensor<'float32'>, factor: number): Tensor<'float32'> {
  return factor === 1 ? t : { ...t, data: t.data.map((value) => value * factor) };
}

/** @param finish  changes what the layer gives. */
function dense(
  context: StepContext,
  weights: Tensor<'float32'>,
  bias: Tensor | undefined,
  finish?: (y: Float32Array) => void,
): void {
  const x = context.input(0);
  const [outputs = 0, channels = 0] = weights.shape;
  const shape = denseShape(channels, outputs);
  const layer = context.layer(shape, () => floatLayer(context, 'floatDense', shape, weights, bias));
  const batch = elementCount(x.shape) / Math.max(channels, 1);
  const y = context.output();
  const count = elementCount(context.shape);
  context.run(() => {
    layer.run({ batch, height: 1, width: 1 }, x.pointer(), 0, false, y.pointer());
    finish?.(context.engine.floats(y.pointer(), count));
  });
}

/** Adds a matrix that is broadcast: another number for each row, or each element. */
function adding({ shape, data }: Tensor<'float32'>, to: readonly number[], at: string): (y: Float32Array) => void {
  if (broadcastShapes(shape, to)?.join() !== to.join()) {
    throw new BnnError('E_SHAPE', `Gemm adds [${shape.join(', ')}] to [${to.join(', ')}]`, { at });
  }
  const [columns = 1] = to.slice(-1);
  const [down = 0, along = 0] = broadcastStrides(shape, to);
  return (y) => {
    for (let i = 0; i < y.length; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      y[i] = (y[i] ?? 0) + (data[row * down + column * along] ?? Number.NaN);
    }
  };
}

const gemm: Operator = (context) => {
  const { node, at } = context;
  if (node.int('transA', 0) !== 0) throw new BnnError('E_UNSUPPORTED', 'Gemm with transA', { at });
  const weights = scaled(weightsOf(context, 1), node.float('alpha', 1));
  const bias = context.constant(2);
  const byOutput = node.int('transB', 0) === 1 ? weights : transposed(weights);
  if (bias === undefined || !isDtype(bias, 'float32')) return dense(context, byOutput, bias);
  const scaledBias = scaled(bias, node.float('beta', 1));
  if (perChannel(context.shape, bias.shape) !== null) return dense(context, byOutput, scaledBias);
  dense(context, byOutput, undefined, adding(scaledBias, context.shape, at));
};

/** By a constant matrix it is a dense layer. */
const matMul: Operator = (context) => {
  const weights = context.operand(1).constant;
  if (weights === null || weights.shape.length !== 2 || !isDtype(weights, 'float32')) return multiply(context);
  dense(context, transposed(weights), undefined);
};

export const FLOAT_LAYERS: ReadonlyMap<string, Operator> = new Map([
  ['Conv', conv],
  ['Gemm', gemm],
  ['MatMul', matMul],
]);
