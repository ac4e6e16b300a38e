/** Convolutions and their gradients, NHWC with HWIO filters: Conv2D, DepthwiseConv2dNative, and ours with groups. */

import * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import type { NativeBackend } from '../backend.ts';
import {
  type Attributes,
  floatInput,
  type Inputs,
  type NativeKernel,
  type OwnKernels,
  replaceKernel,
  result,
} from './kernel.ts';

type Shape4 = [number, number, number, number];

/** Codes of Conv2dShape's `gradients`. */
const PRECISIONS = { float32: 0, bf16: 1 } as const;

/** The shape argument of the addon, or undefined for what it does not do (NCHW, sizes that do not fit). */
export function convShape(
  attrs: Attributes,
  xShape: readonly number[],
  filterShape: readonly number[],
  groups = 1,
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
  const fits =
    info.inChannels === (filterShape[2] ?? 0) * groups &&
    info.outChannels % groups === 0 &&
    sizes.every((size) => Number.isInteger(size) && size > 0);
  if (!fits) return undefined;
  const precision = attrs['precision'] === 'bf16' ? PRECISIONS.bf16 : PRECISIONS.float32;
  const { top, left } = info.padInfo;
  return { shape: Int32Array.of(...sizes, top, left, groups, precision), outShape: info.outShape };
}

export interface ConvCase {
  readonly shape: Int32Array;
  readonly outShape: Shape4;
}

/** What a kernel's attributes say: how many groups, and the filter's shape as it is for `groups` groups. */
interface Grouping {
  readonly groups: number;
  readonly filterShape: readonly number[];
}
type GroupingOf = (attrs: Attributes, x: readonly number[], filter: readonly number[]) => Grouping;

const ungrouped: GroupingOf = (_, __, filterShape) => ({ groups: 1, filterShape });
const grouped: GroupingOf = (attrs, _, filterShape) => ({ groups: Number(attrs['groups'] ?? 1), filterShape });
/** tfjs's depthwise filter is [height, width, channels, multiplier]; the elements lie as in [height, width, 1, outputs]. */
const depthwise: GroupingOf = (_, x, [height = 0, width = 0, channels = 0, multiplier = 0]) => ({
  groups: x[3] ?? 0,
  filterShape: [height, width, channels === x[3] ? 1 : 0, channels * multiplier],
});

function forward(grouping: GroupingOf): NativeKernel<tf.TensorInfo> {
  return (backend, inputs, attrs) => {
    const x = floatInput(backend, inputs['x']);
    const filter = floatInput(backend, inputs['filter']);
    if (x === undefined || filter === undefined) return undefined;
    const { groups, filterShape } = grouping(attrs, x.shape, filter.shape);
    const conv = convShape(attrs, x.shape, filterShape, groups);
    if (conv === undefined) return undefined;
    return result(backend, conv.outShape, (y) => backend.addon.conv2d(x.values, filter.values, y, conv.shape));
  };
}

function inputGrad(grouping: GroupingOf): NativeKernel<tf.TensorInfo> {
  return (backend, inputs, attrs) => {
    const dy = floatInput(backend, inputs['dy']);
    const filter = floatInput(backend, inputs['filter']);
    const inputShape = attrs['inputShape'] as number[];
    if (dy === undefined || filter === undefined) return undefined;
    const { groups, filterShape } = grouping(attrs, inputShape, filter.shape);
    const conv = convShape(attrs, inputShape, filterShape, groups);
    if (conv === undefined || !tf.util.arraysEqual(conv.outShape, [...dy.shape])) return undefined;
    return result(backend, inputShape, (dx) => backend.addon.conv2dInputGrad(dy.values, filter.values, dx, conv.shape));
  };
}

function filterGrad(grouping: GroupingOf): NativeKernel<tf.TensorInfo> {
  return (backend, inputs, attrs) => {
    const x = floatInput(backend, inputs['x']);
    const dy = floatInput(backend, inputs['dy']);
    const shape = attrs['filterShape'] as number[];
    if (x === undefined || dy === undefined) return undefined;
    const { groups, filterShape } = grouping(attrs, x.shape, shape);
    const conv = convShape(attrs, x.shape, filterShape, groups);
    if (conv === undefined || !tf.util.arraysEqual(conv.outShape, [...dy.shape])) return undefined;
    return result(backend, shape, (df) => backend.addon.conv2dFilterGrad(x.values, dy.values, df, conv.shape));
  };
}

/** A kernel of our own, which has no other backend's to fall back on. */
function own(name: string, kernel: NativeKernel<tf.TensorInfo>) {
  return (backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo => {
    const output = kernel(backend, inputs, attrs);
    if (output !== undefined) return output;
    const shapes = Object.entries(inputs).map(([input, tensor]) => `${input} [${tensor?.shape.join(', ')}]`);
    const groups = `${String(attrs['groups'] ?? 1)} groups`;
    throw new BnnError('E_SHAPE', `${name}: ${shapes.join(', ')} and ${groups} do not make an NHWC convolution`);
  };
}

export const CONVOLUTION_KERNELS = {
  BnnConv: own('BnnConv', forward(grouped)),
  BnnConvInputGrad: own('BnnConvInputGrad', inputGrad(grouped)),
  BnnConvFilterGrad: own('BnnConvFilterGrad', filterGrad(grouped)),
} satisfies OwnKernels;

export function registerConvolutions(): void {
  replaceKernel(tf.Conv2D, forward(ungrouped));
  replaceKernel(tf.Conv2DBackpropInput, inputGrad(ungrouped));
  replaceKernel(tf.Conv2DBackpropFilter, filterGrad(ungrouped));
  replaceKernel(tf.DepthwiseConv2dNative, forward(depthwise));
  replaceKernel(tf.DepthwiseConv2dNativeBackpropInput, inputGrad(depthwise));
  replaceKernel(tf.DepthwiseConv2dNativeBackpropFilter, filterGrad(depthwise));
}
