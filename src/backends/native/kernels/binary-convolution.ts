/** Convolution of sign(x) without a tensor of signs. */

import * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import type { NativeBackend } from '../backend.ts';
import { type ConvCase, convShape } from './convolution.ts';
import { type Attributes, type Inputs, type OwnKernels, result } from './kernel.ts';
import { requireFloats, requireNumber, requireTable } from './required.ts';

function requireConv(kernel: string, attrs: Attributes, x: readonly number[], filter: readonly number[]): ConvCase {
  const found = convShape(attrs, x, filter);
  if (found !== undefined) return found;
  const shapes = `x [${x.join(', ')}] and filter [${filter.join(', ')}]`;
  throw new BnnError('E_SHAPE', `${kernel}: ${shapes} do not make an NHWC convolution`);
}

function requireGradient(kernel: string, dy: readonly number[], { outShape }: ConvCase): void {
  if (tf.util.arraysEqual(outShape, [...dy])) return;
  throw new BnnError('E_SHAPE', `${kernel}: dy is [${dy.join(', ')}], expected [${outShape.join(', ')}]`);
}

function forward(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const name = 'BnnBinaryConv';
  const x = requireFloats(backend, name, inputs, 'x');
  const filter = requireFloats(backend, name, inputs, 'filter');
  const conv = requireConv(name, attrs, x.shape, filter.shape);
  return result(backend, conv.outShape, (y) => backend.addon.binaryConv2d(x.values, filter.values, y, conv.shape));
}

/** dx, by the function of the addon that knows the estimator. */
function inputGrad(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const name = 'BnnBinaryConvInputGrad';
  const [dy, filter, x] = (['dy', 'filter', 'x'] as const).map((key) => requireFloats(backend, name, inputs, key));
  if (dy === undefined || filter === undefined || x === undefined) throw new Error('internal: three inputs');
  const conv = requireConv(name, attrs, x.shape, filter.shape);
  requireGradient(name, dy.shape, conv);
  const sum = inputs['sum'] === undefined ? null : requireFloats(backend, name, inputs, 'sum');
  if (sum !== null && !tf.util.arraysEqual([...sum.shape], [...x.shape])) {
    throw new BnnError('E_SHAPE', `${name}: sum is [${sum.shape.join(', ')}], expected [${x.shape.join(', ')}]`);
  }
  const { addon } = backend;
  const tensors = (dx: Float32Array) =>
    [dy.values, filter.values, x.values, dx, conv.shape, sum?.values ?? null] as const;
  if (attrs['estimator'] === 'table') {
    const table = requireTable(name, attrs);
    return result(backend, x.shape, (dx) => addon.binaryConv2dInputGradTable(...tensors(dx), ...table));
  }
  const slope = slopeArguments(name, attrs);
  return result(backend, x.shape, (dx) => addon.binaryConv2dInputGrad(...tensors(dx), ...slope));
}

/** o, t and m as the addon takes them. */
function slopeArguments(kernel: string, attrs: Attributes): [o: number, t: number, m: number] {
  const estimator = attrs['estimator'];
  if (estimator === 'ste') return [0, requireNumber(kernel, attrs, 'clip'), 0];
  if (estimator !== 'reste') {
    throw new BnnError('E_USAGE', `${kernel}: estimator is ${String(estimator)}, expected 'ste', 'reste' or 'table'`);
  }
  const o = requireNumber(kernel, attrs, 'o');
  if (!(o >= 1)) throw new BnnError('E_USAGE', `${kernel}: o is ${o}, expected a number from 1 on`);
  return [o, requireNumber(kernel, attrs, 't'), requireNumber(kernel, attrs, 'm')];
}

function filterGrad(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo {
  const name = 'BnnBinaryConvFilterGrad';
  const x = requireFloats(backend, name, inputs, 'x');
  const dy = requireFloats(backend, name, inputs, 'dy');
  const filterShape = attrs['filterShape'] as number[];
  const conv = requireConv(name, attrs, x.shape, filterShape);
  requireGradient(name, dy.shape, conv);
  return result(backend, filterShape, (df) =>
    backend.addon.binaryConv2dFilterGrad(x.values, dy.values, df, conv.shape),
  );
}

export const BINARY_CONVOLUTION_KERNELS = {
  BnnBinaryConv: forward,
  BnnBinaryConvInputGrad: inputGrad,
  BnnBinaryConvFilterGrad: filterGrad,
} satisfies OwnKernels;
