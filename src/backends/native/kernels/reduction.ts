/** Sum and Mean over neighbouring axes: all of them, all but the last, the spatial ones, the last; and the mean of magnitudes. */

import * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import { BINARY_OPS, OPERANDS, UNARY_OPS } from '../addon-codes.ts';
import type { NativeBackend } from '../backend.ts';
import {
  type FloatInput,
  floatInput,
  type Inputs,
  type NativeKernel,
  type OwnKernels,
  replaceKernel,
  result,
} from './kernel.ts';
import { requireFloats, requireSameSize } from './required.ts';

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

function meanMagnitude(backend: NativeBackend, inputs: Inputs): tf.TensorInfo {
  const { values } = requireFloats(backend, 'BnnMeanMagnitude', inputs, 'x');
  const magnitudes = backend.allocate(values.length);
  backend.addon.unary(UNARY_OPS.abs, values, 0, magnitudes);
  const mean = backend.addon.totalSum(magnitudes) / values.length;
  backend.release(magnitudes);
  return result(backend, [], (y) => y.fill(mean));
}

function meanMagnitudeGrad(backend: NativeBackend, inputs: Inputs): tf.TensorInfo {
  const kernel = 'BnnMeanMagnitudeGrad';
  const x = requireFloats(backend, kernel, inputs, 'x');
  const dy = requireFloats(backend, kernel, inputs, 'dy');
  if (dy.values.length !== 1) {
    throw new BnnError('E_SHAPE', `${kernel}: dy is [${dy.shape.join(', ')}], expected one number`);
  }
  const sum = inputs['sum'] === undefined ? undefined : requireSameSize(backend, kernel, inputs, 'sum', x);
  const share = Float32Array.of(Math.fround(dy.values[0] ?? Number.NaN) / x.values.length);
  const { scalar, full } = OPERANDS;
  const count = x.values.length;
  return result(backend, x.shape, (dx) => {
    const { addon } = backend;
    addon.unary(UNARY_OPS.signum, x.values, 0, dx);
    addon.binary(BINARY_OPS.mul, dx, full, share, scalar, dx, 1, count);
    if (sum !== undefined) addon.binary(BINARY_OPS.add, sum.values, full, dx, full, dx, 1, count);
  });
}

export const MAGNITUDE_KERNELS = {
  BnnMeanMagnitude: meanMagnitude,
  BnnMeanMagnitudeGrad: meanMagnitudeGrad,
} satisfies OwnKernels;

export function registerReductions(): void {
  replaceKernel(tf.Sum, reduction(false));
  replaceKernel(tf.Mean, reduction(true));
}
