/**
 * MaxPool, AvgPool and their gradients, NHWC. Two deliberate differences from tfjs-backend-cpu: NaN in a window gives NaN, and
 * AvgPoolGrad divides by the elements inside the input, as AvgPool itself does (tfjs divides by the window size even at borders).
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Attributes, floatInput, type NativeKernel, replaceKernel, result } from './kernel.ts';

function poolShape(attrs: Attributes, xShape: readonly number[]) {
  if (xShape.length !== 4) return undefined;
  const info = tf.backend_util.computePool2DInfo(
    xShape as [number, number, number, number],
    attrs['filterSize'] as number | [number, number],
    attrs['strides'] as number | [number, number],
    1,
    attrs['pad'] as 'same' | 'valid' | number | tf.backend_util.ExplicitPadding,
    attrs['dimRoundingMode'] as 'floor' | 'round' | 'ceil' | undefined,
  );
  const sizes = [
    ...[info.batchSize, info.inHeight, info.inWidth, info.inChannels, info.outHeight, info.outWidth],
    ...[info.filterHeight, info.filterWidth, info.strideHeight, info.strideWidth],
  ];
  if (!sizes.every((size) => Number.isInteger(size) && size > 0)) return undefined;
  return { shape: Int32Array.of(...sizes, info.padInfo.top, info.padInfo.left), outShape: info.outShape };
}

function pool(name: 'maxPool' | 'avgPool'): NativeKernel {
  return (backend, inputs, attrs) => {
    const x = floatInput(backend, inputs['x']);
    const info = x && poolShape(attrs, x.shape);
    if (x === undefined || info === undefined) return undefined;
    return result(backend, info.outShape, (y) => backend.addon[name](x.values, y, info.shape));
  };
}

const maxPoolGrad: NativeKernel = (backend, inputs, attrs) => {
  const x = floatInput(backend, inputs['input']);
  const dy = floatInput(backend, inputs['dy']);
  const info = x && poolShape(attrs, x.shape);
  if (x === undefined || dy === undefined || info === undefined) return undefined;
  return result(backend, x.shape, (dx) => backend.addon.maxPoolGrad(x.values, dy.values, dx, info.shape));
};

const avgPoolGrad: NativeKernel = (backend, inputs, attrs) => {
  const input = inputs['input'];
  const dy = floatInput(backend, inputs['dy']);
  const info = input && poolShape(attrs, input.shape);
  if (input === undefined || dy === undefined || info === undefined) return undefined;
  return result(backend, input.shape, (dx) => backend.addon.avgPoolGrad(dy.values, dx, info.shape));
};

export function registerPooling(): void {
  replaceKernel(tf.MaxPool, pool('maxPool'));
  replaceKernel(tf.AvgPool, pool('avgPool'));
  replaceKernel(tf.MaxPoolGrad, maxPoolGrad);
  replaceKernel(tf.AvgPoolGrad, avgPoolGrad);
}
