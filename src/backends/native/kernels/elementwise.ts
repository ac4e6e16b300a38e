/** Arithmetic of two tensors, ClipByValue and its gradient, Relu, Step, Abs and tfjs's three-valued Sign. */

import * as tf from '@tensorflow/tfjs-core';
import { BINARY_OPS, OPERANDS, type OperandKind, UNARY_OPS } from '../addon-codes.ts';
import type { NativeBackend } from '../backend.ts';
import {
  type Attributes,
  type FloatInput,
  floatInput,
  type Inputs,
  type NativeKernel,
  type OwnKernels,
  replaceKernel,
  result,
} from './kernel.ts';
import { requireFloats, requireNumber, requireSameSize } from './required.ts';
import { expand } from './strided-copy.ts';

/** An operand as the addon takes it; `length` is that of a repeated row. */
interface Operand {
  readonly values: Float32Array;
  readonly kind: OperandKind;
  readonly length?: number;
}

/** How an operand fits a result shape; undefined when it is broadcast along inner dimensions. */
function describeOperand(input: FloatInput, shape: readonly number[]): Operand | undefined {
  const { values } = input;
  if (values.length === tf.util.sizeFromShape([...shape])) return { values, kind: OPERANDS.full };
  if (values.length === 1) return { values, kind: OPERANDS.scalar };
  const firstKept = input.shape.findIndex((size) => size !== 1);
  const kept = input.shape.slice(firstKept);
  const isSuffix = tf.util.arraysEqual(kept, shape.slice(shape.length - kept.length));
  return isSuffix ? { values, kind: OPERANDS.row, length: values.length } : undefined;
}

function binary(op: number): NativeKernel {
  return (backend, inputs) => {
    const a = floatInput(backend, inputs['a']);
    const b = floatInput(backend, inputs['b']);
    if (a === undefined || b === undefined) return undefined;
    const shape = tf.backend_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
    if (shape.length > 4 && (a.shape.length !== b.shape.length || a.values.length !== b.values.length))
      return undefined;
    const temporary: Float32Array[] = [];
    const expanded = (input: FloatInput): Operand => {
      const values = expand(backend, input, shape);
      temporary.push(values);
      return { values, kind: OPERANDS.full };
    };
    let left = describeOperand(a, shape) ?? expanded(a);
    const right = describeOperand(b, shape) ?? expanded(b);
    if (left.length !== undefined && right.length !== undefined && left.length !== right.length) left = expanded(a);
    const count = tf.util.sizeFromShape(shape);
    const length = left.length ?? right.length ?? count;
    const y = result(backend, shape, (values) =>
      backend.addon.binary(op, left.values, left.kind, right.values, right.kind, values, count / length, length),
    );
    for (const values of temporary) backend.release(values);
    return y;
  };
}

/** A unary kernel; `alpha` is used by Step only. */
export function unary(backend: NativeBackend, op: number, x: FloatInput, alpha = 0): tf.TensorInfo {
  return result(backend, x.shape, (y) => backend.addon.unary(op, x.values, alpha, y));
}

function unaryKernel(op: number): NativeKernel {
  return (backend, inputs) => {
    const x = floatInput(backend, inputs['x']);
    return x === undefined ? undefined : unary(backend, op, x);
  };
}

const step: NativeKernel = (backend, inputs, attrs) => {
  const x = floatInput(backend, inputs['x']);
  return x === undefined ? undefined : unary(backend, UNARY_OPS.step, x, Number(attrs['alpha'] ?? 0));
};

/** min(max(x, low), high). */
const clip: NativeKernel = (backend, inputs, attrs) => {
  const x = floatInput(backend, inputs['x']);
  const [low, high] = [Number(attrs['clipValueMin']), Number(attrs['clipValueMax'])];
  return x && result(backend, x.shape, (y) => backend.addon.clip(x.values, low, high, y));
};

function clipGrad(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const name = 'BnnClipGrad';
  const y = requireFloats(backend, name, inputs, 'y');
  const dy = requireSameSize(backend, name, inputs, 'dy', y);
  const [low, high] = [requireNumber(name, attrs, 'low'), requireNumber(name, attrs, 'high')];
  return result(backend, y.shape, (dx) => backend.addon.clipGrad(y.values, dy.values, low, high, dx));
}

export const CLIP_KERNELS = { BnnClipGrad: clipGrad } satisfies OwnKernels;

export function registerElementwise(): void {
  replaceKernel(tf.Add, binary(BINARY_OPS.add));
  replaceKernel(tf.Sub, binary(BINARY_OPS.sub));
  replaceKernel(tf.Multiply, binary(BINARY_OPS.mul));
  replaceKernel(tf.RealDiv, binary(BINARY_OPS.div));
  replaceKernel(tf.Maximum, binary(BINARY_OPS.max));
  replaceKernel(tf.Minimum, binary(BINARY_OPS.min));
  replaceKernel(tf.ClipByValue, clip);
  replaceKernel(tf.Relu, unaryKernel(UNARY_OPS.relu));
  replaceKernel(tf.Abs, unaryKernel(UNARY_OPS.abs));
  replaceKernel(tf.Sign, unaryKernel(UNARY_OPS.signum));
  replaceKernel(tf.Step, step);
}
