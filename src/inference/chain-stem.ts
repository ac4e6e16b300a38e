/**
 * Float layers as steps of a chain: the first ones of a network, Conv of a few channels, Relu and BatchNormalization, where each is read by the
 * next alone; and convolutions of one element, the shortcuts of a ResNet. Exact beside an onnxruntime that runs them by its blocked convolutions: those of processors with AVX-512, in blocks of 16.
 */

import type { Node } from '../graph/graph.ts';
import { affineOf, NO_VALUES, onlyReadBy, plainConvOf } from '../rewriting/layers/float-layers.ts';
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

/** @param last  the node whose output is that of the whole. */
export function stemOf(last: Node): Stem | null {
  const normalization = last.is('BatchNormalization') ? last : null;
  const before = normalization === null ? last : onlyReadBy(normalization);
  const relu = before?.is('Relu') === true ? before : null;
  const conv = relu === null ? before : onlyReadBy(relu);
  if (conv?.is('Conv') !== true) return null;
  const affine =
    normalization === null ? { scale: NO_VALUES, shift: NO_VALUES } : affineOf(normalization, 'by division');
  const layer = plainConvOf(conv);
  if (layer === null || affine === null || layer.channels >= BLOCK || layer.outputs % BLOCK !== 0) return null;
  const nodes = [conv, relu, normalization].filter((node) => node !== null);
  return { kind: 'floatConv', relu: relu !== null, ...layer, ...affine, nodes, data: [0] };
}

/** A convolution of one element on whole blocks of channels. */
export function pointwiseOf(conv: Node): Stem | null {
  const layer = conv.is('Conv') ? plainConvOf(conv) : null;
  if (layer === null || layer.outputs % BLOCK !== 0 || layer.channels % BLOCK !== 0) return null;
  const isOne = layer.kernel.every((size) => size === 1) && layer.pads.every((pad) => pad === 0);
  const isWhole = layer.channels <= BATCH || layer.channels % BATCH === 0;
  if (!isOne || !isWhole) return null;
  return { kind: 'floatConv', relu: false, ...layer, scale: NO_VALUES, shift: NO_VALUES, nodes: [conv], data: [0] };
}
