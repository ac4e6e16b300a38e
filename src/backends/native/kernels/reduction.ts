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

/** More separate reductions than this are left to the inherited kernel: each is a loop over all threads. */
const MAX_SUMS = 8192;

function reduce(x: FloatInput, backend: NativeBackend, axis: unknown, keepDims: boolean, isMean: boolean) {
  const axes = tf.util.parseAxisParam(axis as number | number[], [...x.shape]).sort((a, b) => a - b);
  const first = axes[0] ?? 0;
  const last = axes[axes.length - 1] ?? first;
  if (axes.length === 0 || last - first + 1 !== axes.length) return undefined;
  const outer = tf.util.sizeFromShape(x.shape.slice(0, first));
  const inner = tf.util.sizeFromShape(x.shape.slice(last + 1));
  if (outer > MAX_SUMS) return undefined;
  const count = x.values.length / (outer * inner);
  const shape = x.shape.flatMap((size, d) => (d < first || d > last ? [size] : keepDims ? [1] : []));
  return result(backend, shape, (y) => backend.addon.sumMiddle(x.values, y, outer, inner, isMean ? count : 1));
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
  const mean = result(backend, [], (y) => backend.addon.sumMiddle(magnitudes, y, 1, 1, values.length));
  backend.release(magnitudes);
  return mean;
}

function meanMagnitudeGrad(backend: NativeBackend, inputs: Inputs): tf.TensorInfo {
  const kernel = 'BnnMeanMagnitudeGrad';
  const x = requireFloats(backend, kernel, inputs, 'x');
  const dy = requireFloats(backend, kernel, inputs, 'dy');
  if (dy.values.length !== 1) {
    throw new BnnError('E_SHAPE', `${kernel}: dy is [${dy.shape.join(', ')}], expected one number`);
  }
  const sum = inputs['sum'] === undefined ? undefined : requireSameSize(backend, kernel, inputs, 'sum', x);
  const { addon } = backend;
  const { scalar, full } = OPERANDS;
  const count = x.values.length;
  const share = backend.allocate(1);
  addon.sumMiddle(dy.values, share, 1, 1, count);
  const gradient = result(backend, x.shape, (dx) => {
    addon.unary(UNARY_OPS.signum, x.values, 0, dx);
    addon.binary(BINARY_OPS.mul, dx, full, share, scalar, dx, 1, count);
    if (sum !== undefined) addon.binary(BINARY_OPS.add, sum.values, full, dx, full, dx, 1, count);
  });
  backend.release(share);
  return gradient;
}

export const MAGNITUDE_KERNELS = {
  BnnMeanMagnitude: meanMagnitude,
  BnnMeanMagnitudeGrad: meanMagnitudeGrad,
} satisfies OwnKernels;

export function registerReductions(): void {
  replaceKernel(tf.Sum, reduction(false));
  replaceKernel(tf.Mean, reduction(true));
}
