/** Copies described by sizes and strides, for everything that only moves elements. Ranks up to 4. */

import * as tf from '@tensorflow/tfjs-core';
import type { NativeBackend } from '../backend.ts';
import type { FloatInput } from './kernel.ts';

export interface CopyPlan {
  /** Elements to copy along each dimension; all arrays have one entry per dimension, at most 4. */
  readonly size: readonly number[];
  readonly fromStrides: readonly number[];
  readonly toStrides: readonly number[];
  readonly fromOffset: number;
  readonly toOffset: number;
}

/** Row-major strides, one per dimension (tfjs's own list leaves out the last). */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let d = shape.length - 2; d >= 0; d--) strides[d] = (strides[d + 1] ?? 1) * (shape[d + 1] ?? 1);
  return strides;
}

function padTo4(values: readonly number[], filler: number): number[] {
  return [...new Array<number>(4 - values.length).fill(filler), ...values];
}

export function copyStrided(backend: NativeBackend, from: Float32Array, to: Float32Array, plan: CopyPlan): void {
  const numbers = [...padTo4(plan.size, 1), ...padTo4(plan.fromStrides, 0), ...padTo4(plan.toStrides, 0)];
  backend.addon.stridedCopy(from, to, Int32Array.of(...numbers, plan.fromOffset, plan.toOffset));
}

/** Strides that read a tensor as if it were broadcast to `shape`. */
function broadcastStrides(from: readonly number[], shape: readonly number[]): number[] {
  const lead = shape.length - from.length;
  const strides = stridesOf(from);
  return shape.map((_, d) => (d < lead || from[d - lead] === 1 ? 0 : (strides[d - lead] ?? 0)));
}

/** The elements of `input` broadcast to `shape`, in memory from the backend's pool. */
export function expand(backend: NativeBackend, input: FloatInput, shape: readonly number[]): Float32Array {
  const to = backend.allocate(tf.util.sizeFromShape([...shape]));
  copyStrided(backend, input.values, to, {
    size: shape,
    fromStrides: broadcastStrides(input.shape, shape),
    toStrides: stridesOf(shape),
    fromOffset: 0,
    toOffset: 0,
  });
  return to;
}
