/**
 * Float layers as steps of a chain: the first ones of a network, Conv of a few channels, Relu and BatchNormalization, where each is read by the
 * next alone; and convolutions of one element, the shortcuts of a ResNet. Exact beside an onnxruntime that runs them by its blocked convolutions: those of processors with AVX-512, in blocks of 16.
 */

import { isDtype } from '../core/tensors/tensor.ts';
import type { Node, Value } from '../graph/graph.ts';
import type { FloatConvStep } from './chain-program.ts';

/** Channels in a block of onnxruntime's; fewer stay in the picture's own order. */
const BLOCK = 16;
/** Channels that it sums up at a time where the kernel is one element. */
const BATCH = 128;

export type Stem = Omit<FloatConvStep, 'input'> & {
  /** Its nodes, first to last; `data` counts the inputs of the first. */
  readonly nodes: readonly Node[];
  readonly data: readonly number[];
};

export const NO_VALUES = new Float32Array();

/** @param last  the node whose output is that of the whole. */
export function stemOf(last: Node): Stem | null {
  const normalization = last.is('BatchNormalization') ? last : null;
  const before = normalization === null ? last : onlyReadBy(normalization);
  const relu = before?.is('Relu') === true ? before : null;
  const conv = relu === null ? before : onlyReadBy(relu);
  if (conv?.is('Conv') !== true) return null;
  const affine =
    normalization === null ? { scale: NO_VALUES, shift: NO_VALUES } : affineOf(normalization, 'by division');
  const layer = layerOf(conv);
  if (layer === null || affine === null || layer.channels >= BLOCK || layer.outputs % BLOCK !== 0) return null;
  const nodes = [conv, relu, normalization].filter((node) => node !== null);
  return { kind: 'floatConv', relu: relu !== null, ...layer, ...affine, nodes, data: [0] };
}

/** A convolution of one element on whole blocks of channels. */
export function pointwiseOf(conv: Node): Stem | null {
  const layer = conv.is('Conv') ? layerOf(conv) : null;
  if (layer === null || layer.outputs % BLOCK !== 0 || layer.channels % BLOCK !== 0) return null;
  const isOne = layer.kernel.every((size) => size === 1) && layer.pads.every((pad) => pad === 0);
  const isWhole = layer.channels <= BATCH || layer.channels % BATCH === 0;
  if (!isOne || !isWhole) return null;
  return { kind: 'floatConv', relu: false, ...layer, scale: NO_VALUES, shift: NO_VALUES, nodes: [conv], data: [0] };
}

/** The producer of a node's data, when nothing else reads them. */
export function onlyReadBy(node: Node): Node | null {
  const value = node.input(0);
  return value !== null && value.uses.length === 1 && !value.isOutput() ? value.producer : null;
}

function floatsOf(value: Value | null): Float32Array | null {
  return value?.constant != null && isDtype(value.constant, 'float32') ? value.constant.data : null;
}

type Layer = Pick<Stem, 'kernel' | 'strides' | 'pads' | 'channels' | 'outputs' | 'weights' | 'bias'>;

export function layerOf(node: Node): Layer | null {
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
export function affineOf(node: Node, form: 'by division' | 'by its inverse'): Pick<Stem, 'scale' | 'shift'> | null {
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
