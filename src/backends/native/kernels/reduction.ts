/** Sum and Mean over neighbouring axes: all of them, all but the last, the spatial ones, the last. */

import * as tf from '@tensorflow/tfjs-core';
import type { NativeBackend } from '../backend.ts';
import { type FloatInput, floatInput, type NativeKernel, replaceKernel, result } from './kernel.ts';

/** More separate reductions than this are left to the inherited kernel: each is a call into the addon. */
const MAX_CALLS = 8192;

/** Σ over the middle of [outer][middle][inner], in double precision across blocks. */
function sumMiddle(
  backend: NativeBackend,
  x: Float32Array,
  outer: number,
  inner: number,
  divisor: number,
  y: Float32Array,
) {
  const size = x.length / outer;
  const sums = new Float64Array(inner);
  for (let i = 0; i < outer; i++) {
    const part = outer === 1 ? x : x.subarray(i * size, (i + 1) * size);
    if (inner === 1) {
      y[i] = backend.addon.totalSum(part) / divisor;
      continue;
    }
    backend.addon.channelSums(part, sums);
    for (let c = 0; c < inner; c++) y[i * inner + c] = (sums[c] ?? 0) / divisor;
  }
}

function reduce(x: FloatInput, backend: NativeBackend, axis: unknown, keepDims: boolean, isMean: boolean) {
  const axes = tf.util.parseAxisParam(axis as number | number[], [...x.shape]).sort((a, b) => a - b);
  const first = axes[0] ?? 0;
  const last = axes[axes.length - 1] ?? first;
  if (axes.length === 0 || last - first + 1 !== axes.length) return undefined;
  const outer = tf.util.sizeFromShape(x.shape.slice(0, first));
  const inner = tf.util.sizeFromShape(x.shape.slice(last + 1));
  if (outer > MAX_CALLS) return undefined;
  const count = x.values.length / (outer * inner);
  const shape = x.shape.flatMap((size, d) => (d < first || d > last ? [size] : keepDims ? [1] : []));
  return result(backend, shape, (y) => sumMiddle(backend, x.values, outer, inner, isMean ? count : 1, y));
}

function reduction(isMean: boolean): NativeKernel {
  return (backend, inputs, attrs) => {
    const x = floatInput(backend, inputs['x']);
    if (x === undefined) return undefined;
    return reduce(x, backend, attrs['axis'], attrs['keepDims'] === true, isMean);
  };
}

export function registerReductions(): void {
  replaceKernel(tf.Sum, reduction(false));
  replaceKernel(tf.Mean, reduction(true));
}
