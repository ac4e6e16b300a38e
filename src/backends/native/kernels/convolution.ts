/** Conv2D and its gradients, NHWC with HWIO filters. */

import * as tf from '@tensorflow/tfjs-core';
import type { NativeBackend } from '../backend.ts';
import { type Attributes, floatInput, type Inputs, replaceKernel, result } from './kernel.ts';

type Shape4 = [number, number, number, number];

/** The shape argument of the addon, or undefined for what it does not do (NCHW, sizes that do not fit). */
export function convShape(
  attrs: Attributes,
  xShape: readonly number[],
  filterShape: readonly number[],
): ConvCase | undefined {
  if (xShape.length !== 4 || filterShape.length !== 4 || (attrs['dataFormat'] ?? 'NHWC') !== 'NHWC') return undefined;
  const info = tf.backend_util.computeConv2DInfo(
    xShape as Shape4,
    filterShape as Shape4,
    attrs['strides'] as number | [number, number],
    // The gradient kernels of tfjs have no dilations attribute; ours take one.
    (attrs['dilations'] ?? 1) as number | [number, number],
    attrs['pad'] as 'same' | 'valid' | number | tf.backend_util.ExplicitPadding,
    attrs['dimRoundingMode'] as 'floor' | 'round' | 'ceil' | undefined,
  );
  const sizes = [
    ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels],
    ...[info.filterHeight, info.filterWidth, info.outChannels, info.outHeight, info.outWidth],
    ...[info.strideHeight, info.strideWidth, info.dilationHeight, info.dilationWidth],
  ];
  const fits = info.inChannels === filterShape[2] && sizes.every((size) => Number.isInteger(size) && size > 0);
  if (!fits) return undefined;
  return { shape: Int32Array.of(...sizes, info.padInfo.top, info.padInfo.left), outShape: info.outShape };
}

export interface ConvCase {
  readonly shape: Int32Array;
  readonly outShape: Shape4;
}

function conv2d(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo | undefined {
  const x = floatInput(backend, inputs['x']);
  const filter = floatInput(backend, inputs['filter']);
  if (x === undefined || filter === undefined) return undefined;
  const conv = convShape(attrs, x.shape, filter.shape);
  if (conv === undefined) return undefined;
  return result(backend, conv.outShape, (y) => backend.addon.conv2d(x.values, filter.values, y, conv.shape));
}

function conv2dInputGrad(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo | undefined {
  const dy = floatInput(backend, inputs['dy']);
  const filter = floatInput(backend, inputs['filter']);
  const inputShape = attrs['inputShape'] as number[];
  if (dy === undefined || filter === undefined) return undefined;
  const conv = convShape(attrs, inputShape, filter.shape);
  if (conv === undefined || !tf.util.arraysEqual(conv.outShape, [...dy.shape])) return undefined;
  return result(backend, inputShape, (dx) => backend.addon.conv2dInputGrad(dy.values, filter.values, dx, conv.shape));
}

function conv2dFilterGrad(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo | undefined {
  const x = floatInput(backend, inputs['x']);
  const dy = floatInput(backend, inputs['dy']);
  const filterShape = attrs['filterShape'] as number[];
  if (x === undefined || dy === undefined) return undefined;
  const conv = convShape(attrs, x.shape, filterShape);
  if (conv === undefined || !tf.util.arraysEqual(conv.outShape, [...dy.shape])) return undefined;
  return result(backend, filterShape, (df) => backend.addon.conv2dFilterGrad(x.values, dy.values, df, conv.shape));
}

export function registerConvolutions(): void {
  replaceKernel(tf.Conv2D, conv2d);
  replaceKernel(tf.Conv2DBackpropInput, conv2dInputGrad);
  replaceKernel(tf.Conv2DBackpropFilter, conv2dFilterGrad);
}
