/** Float layers as kernels take them: numbers instead of attributes and constants, or null where there is something unusual. */

import { isDtype } from '../../core/tensors/tensor.ts';
import type { Node, Value } from '../../graph/graph.ts';

export interface PlainConv {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  /** Top, left, bottom, right. */
  readonly pads: readonly number[];
  readonly channels: number;
  readonly outputs: number;
  /** f32[outputs][channels][kernel rows][kernel columns]. */
  readonly weights: Float32Array;
  /** f32[outputs], or empty. */
  readonly bias: Float32Array;
}

/** y = x · scale + shift, f32[channels] each, or both empty. */
export interface Affine {
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

/** Windows two apart. */
export interface HalvingPool {
  readonly poolKernel: readonly number[];
  readonly poolPads: readonly number[];
}

export const NO_VALUES = new Float32Array();

/** The producer of a node's data, when nothing else reads them. */
export function onlyReadBy(node: Node): Node | null {
  const value = node.input(0);
  return value !== null && value.uses.length === 1 && !value.isOutput() ? value.producer : null;
}

function floatsOf(value: Value | null): Float32Array | null {
  return value?.constant != null && isDtype(value.constant, 'float32') ? value.constant.data : null;
}

/** A Conv without groups, dilations or padding that it works out, whose finite weights are constants; null for any other. */
export function plainConvOf(node: Node): PlainConv | null {
  const [weights, bias] = [floatsOf(node.input(1)), node.input(2) === null ? NO_VALUES : floatsOf(node.input(2))];
  const [outputs = 0, channels = 0, ...kernel] = node.input(1)?.constant?.shape ?? [];
  const [strides, pads] = [node.ints('strides', [1, 1]), node.ints('pads', [0, 0, 0, 0])];
  const isPlain =
    kernel.length === 2 &&
    strides.length === 2 &&
    pads.length === 4 &&
    pads.every((pad) => pad >= 0) &&
    node.int('group', 1) === 1 &&
    node.ints('dilations', [1, 1]).every((dilation) => dilation === 1) &&
    node.string('auto_pad', 'NOTSET') === 'NOTSET';
  if (!isPlain || weights === null || bias === null) return null;
  // Padding times infinity would be NaN.
  return weights.every(Number.isFinite) ? { kernel, strides, pads, channels, outputs, weights, bias } : null;
}

/**
 * y = x · scale + shift, in the float32 steps by which onnxruntime makes them.
 *
 * @param form  how it divides by the deviation: where the layer is part of its blocked convolutions, and where it is by itself.
 */
export function affineOf(node: Node, form: 'by division' | 'by its inverse'): Affine | null {
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => floatsOf(node.input(i)));
  if (gamma == null || beta == null || mean == null || variance == null) return null;
  if (node.outputs.length !== 1 || node.int('training_mode', 0) !== 0) return null;
  const epsilon = Math.fround(node.float('epsilon', 1e-5));
  const scale = gamma.map((g, i) => {
    const deviation = Math.fround(Math.sqrt(Math.fround((variance[i] ?? 0) + epsilon)));
    return form === 'by division' ? g / deviation : g * Math.fround(1 / deviation);
  });
  const shift = beta.map((b, i) => b - Math.fround((mean[i] ?? 0) * (scale[i] ?? 0)));
  return { scale, shift };
}

export interface PlainWindow {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly pads: readonly number[];
}

const isOf = (values: readonly number[], wanted: number) => values.every((value) => value === wanted);

/** Of a pooling of 2 dimensions without anything unusual; null for any other. */
export function plainWindowOf(node: Node): PlainWindow | null {
  const [kernel, strides, pads] = [
    node.ints('kernel_shape', []),
    node.ints('strides', [1, 1]),
    node.ints('pads', [0, 0, 0, 0]),
  ];
  const isPlain =
    node.int('ceil_mode', 0) === 0 &&
    node.int('storage_order', 0) === 0 &&
    isOf(node.ints('dilations', [1, 1]), 1) &&
    node.string('auto_pad', 'NOTSET') === 'NOTSET';
  const isWhole = kernel.length === 2 && strides.length === 2 && pads.length === 4;
  return isPlain && isWhole ? { kernel, strides, pads } : null;
}

/** A plain MaxPool of stride 2 whose windows all see something; null for any other. */
export function halvingPoolOf(pool: Node): HalvingPool | null {
  const window = plainWindowOf(pool);
  if (window === null || pool.outputs.length !== 1 || !isOf(window.strides, 2)) return null;
  const { kernel, pads } = window;
  const isInside = pads.every((pad, i) => pad >= 0 && pad < (kernel[i % 2] ?? 0));
  return isInside ? { poolKernel: kernel, poolPads: pads } : null;
}
