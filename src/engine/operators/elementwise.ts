/** Operators on each element, with the cases that networks have most in compiled loops. */

import { elementCount } from '../../core/tensors/shape.ts';
import { isDtype, type Tensor, toNumbers } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { Operand, Operator, StepContext } from '../step.ts';
import { generic } from './generic.ts';

const relu: Operator = (context) => {
  const [x, y] = [context.input(0), context.output()];
  const count = elementCount(x.shape);
  context.run(() => context.engine.calls.relu(x.pointer(), count, y.pointer()));
};

/** Bounds are attributes up to operator set 10, inputs from 11 on. */
const clip: Operator = (context) => {
  const bound = (index: number, name: string, fallback: number): number => {
    const tensor = context.constant(index);
    return tensor === undefined ? context.node.float(name, fallback) : (toNumbers(tensor)[0] ?? fallback);
  };
  const least = bound(1, 'min', Number.NEGATIVE_INFINITY);
  const most = bound(2, 'max', Number.POSITIVE_INFINITY);
  const [x, y] = [context.input(0), context.output()];
  const count = elementCount(x.shape);
  context.run(() => context.engine.calls.clip(x.pointer(), count, least, most, y.pointer()));
};

/** A function of one number, in JavaScript: for what stands at the end of a network. */
function mapped(f: (x: number, context: StepContext) => number): Operator {
  return (context) => {
    const [x, y] = [context.input(0), context.output()];
    const count = elementCount(x.shape);
    context.run(() => {
      const from = context.engine.floats(x.pointer(), count);
      const to = context.engine.floats(y.pointer(), count);
      for (let i = 0; i < count; i++) to[i] = f(from[i] ?? 0, context);
    });
  };
}

interface Channels {
  readonly planes: number;
  readonly size: number;
  readonly channels: number;
}

/** How a tensor of one number per channel broadcasts to planes [N, C, …] or rows [N, C]; null where it does otherwise. */
export function perChannel(x: readonly number[], other: readonly number[]): Channels | null {
  const count = elementCount(other);
  const [batch = 0, channels = 0, ...sizes] = x;
  const size = elementCount(sizes);
  if (count === 1) return { planes: 1, size: elementCount(x), channels: 1 };
  const padded = [...x.map(() => 1), ...other].slice(-x.length);
  const isAlongChannels = other.length <= x.length && count === channels && padded[1] === channels;
  return isAlongChannels ? { planes: batch * channels, size, channels } : null;
}

const OPERATIONS = ['Add', 'Sub', 'Mul', 'Div'] as const;

/** x · scale + bias for a constant b. */
function affineOf(op: (typeof OPERATIONS)[number], b: Float32Array): { scale: Float32Array; bias: Float32Array } {
  const same = (value: number): Float32Array => new Float32Array(b.length).fill(value);
  switch (op) {
    case 'Add':
      return { scale: same(1), bias: b };
    case 'Sub':
      return { scale: same(1), bias: b.map((value) => -value) };
    case 'Mul':
      return { scale: b, bias: same(0) };
    case 'Div':
      return { scale: b.map((value) => 1 / value), bias: same(0) };
  }
}

function binary(op: (typeof OPERATIONS)[number]): Operator {
  const commutes = op === 'Add' || op === 'Mul';
  return (context) => {
    const [a, b] = [context.operand(0), context.operand(1)];
    const isFloat = a.dtype === 'float32' && b.dtype === 'float32';
    const isSame = a.shape.join() === b.shape.join();
    if (isFloat && isSame) return combine(context, OPERATIONS.indexOf(op));
    const [x, other] = commutes && a.constant !== null ? [b, a] : [a, b];
    const along = isFloat ? perChannel(x.shape, other.shape) : null;
    // Division is rounded once, as in a runtime that divides: a product by the reciprocal is only the same for powers of two.
    if (other.constant === null || along === null || op === 'Div') return generic(context);
    affine(context, x, along, () => affineOf(op, other.constant?.data as Float32Array));
  };
}

function combine(context: StepContext, which: number): void {
  const [a, b] = [context.input(0), context.input(1)];
  const y = context.output();
  const count = elementCount(a.shape);
  context.run(() => context.engine.calls.combine(which, a.pointer(), b.pointer(), count, y.pointer()));
}

/** Adds y = x · scale[c] + bias[c]. */
function affine(
  context: StepContext,
  x: Operand,
  { planes, size, channels }: Channels,
  factors: () => { readonly scale: Float32Array; readonly bias: Float32Array },
): void {
  const scale = context.keep('scale', () => factors().scale);
  const bias = context.keep('bias', () => factors().bias);
  const y = context.output();
  context.run(() => context.engine.calls.planeAffine(x.pointer(), planes, size, channels, scale, bias, y.pointer()));
}

/** With the statistics folded in float64. */
const batchNormalization: Operator = (context) => {
  const x = context.input(0);
  const [batch = 0, channels = 0, ...sizes] = x.shape;
  const vector = (index: number): Float32Array => {
    const tensor = context.constant(index);
    if (tensor === undefined || !isDtype(tensor, 'float32') || tensor.data.length !== channels) {
      const found = tensor === undefined ? 'missing' : `${tensor.dtype}[${tensor.shape.join(', ')}]`;
      throw new BnnError('E_SHAPE', `input ${index} is ${found}, expected float32[${channels}]`, { at: context.at });
    }
    return tensor.data;
  };
  const [gamma, beta, mean, variance] = [vector(1), vector(2), vector(3), vector(4)];
  const epsilon = context.node.float('epsilon', 1e-5);
  // Rounded after every operation, as onnxruntime does after a convolution: signs follow.
  const { fround } = Math;
  const factor = (c: number): number =>
    fround((gamma[c] ?? 0) / fround(Math.sqrt(fround((variance[c] ?? 0) + fround(epsilon)))));
  affine(context, x, { planes: batch * channels, size: elementCount(sizes), channels }, () => ({
    scale: gamma.map((_, c) => factor(c)),
    bias: gamma.map((_, c) => (beta[c] ?? 0) - fround((mean[c] ?? 0) * factor(c))),
  }));
};

function slope(context: StepContext, values: Tensor<'float32'>): void {
  const x = context.input(0);
  const along = perChannel(x.shape, values.shape);
  if (along === null) {
    throw new BnnError('E_UNSUPPORTED', `${context.node.op} by slopes of shape [${values.shape.join(', ')}]`, {
      at: context.at,
    });
  }
  const slopes = context.keep('slope', () => values.data);
  const y = context.output();
  const { planes, size, channels } = along;
  context.run(() => context.engine.calls.planeSlope(x.pointer(), planes, size, channels, slopes, y.pointer()));
}

const prelu: Operator = (context) => {
  const values = context.constant(1);
  if (values === undefined || !isDtype(values, 'float32')) {
    throw new BnnError('E_FORMAT', `slopes are ${values?.dtype ?? 'missing'}, expected float32`, { at: context.at });
  }
  slope(context, values);
};

const leakyRelu: Operator = (context) =>
  slope(context, { dtype: 'float32', shape: [], data: Float32Array.of(context.node.float('alpha', 0.01)) });

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const ELEMENTWISE: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['Relu', relu],
  ['Clip', clip],
  ['PRelu', prelu],
  ['LeakyRelu', leakyRelu],
  ['BatchNormalization', batchNormalization],
  ...OPERATIONS.map((op) => [op, binary(op)] as const),
  ['Sigmoid', mapped(sigmoid)],
  ['Tanh', mapped(Math.tanh)],
  ['Exp', mapped(Math.exp)],
  ['Log', mapped(Math.log)],
  ['Reciprocal', mapped((x) => 1 / x)],
  ['Sign', mapped(Math.sign)],
  ['Floor', mapped(Math.floor)],
  ['Ceil', mapped(Math.ceil)],
  ['Softplus', mapped((x) => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0))],
  [
    'HardSigmoid',
    mapped((x, { node }) => Math.min(1, Math.max(0, node.float('alpha', 0.2) * x + node.float('beta', 0.5)))),
  ],
  ['HardSwish', mapped((x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)))],
  ['Elu', mapped((x, { node }) => (x < 0 ? node.float('alpha', 1) * Math.expm1(x) : x))],
]);
