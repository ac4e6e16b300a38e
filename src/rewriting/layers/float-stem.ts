/**
 * The float stem of a network for large pictures with its pooling, as `native/kernels/stem_conv` takes it:
 *
 *     Conv ──► Relu ──► MaxPool ──► BatchNormalization        Relu and BatchNormalization where there are any, the latter on either side
 *
 * By Winograd's filtering it equals its layers one by one but for rounding.
 */

import { BnnError } from '../../errors.ts';
import type { Node } from '../../graph/graph.ts';
import {
  type Affine,
  affineOf,
  type HalvingPool,
  halvingPoolOf,
  NO_VALUES,
  onlyReadBy,
  type PlainConv,
  plainConvOf,
} from './float-layers.ts';

/** y = relu(max(conv(x)) + bias) · scale + shift, the convolution and the pooling of stride 2, the latter 3×3. */
export interface FloatStem extends Omit<PlainConv, 'strides'>, Affine {
  readonly relu: boolean;
  readonly poolPads: readonly number[];
  /** Of each output: the least instead of the largest. */
  readonly least: readonly boolean[];
  /** First to last. */
  readonly nodes: readonly Node[];
}

/** For a network without one, where it was asked for. */
export function noFastStem(at: string): BnnError {
  return new BnnError('E_UNSUPPORTED', 'the network has no stem that --fast-stem makes faster', {
    at,
    hint: 'it takes a float Conv of stride 2 with 5 to 7 rows and columns, and behind it a MaxPool of 3×3 and stride 2; leave the option out',
  });
}

/** Taps along an axis: kStemLeastKernel and kStemMostKernel. */
const LEAST_KERNEL = 5;
const MOST_KERNEL = 7;

/** @param last  the node whose output is that of the whole. */
export function floatStemOf(last: Node): FloatStem | null {
  const nodes = nodesOf(last);
  const [conv] = nodes;
  const pool = nodes.find((node) => node.is('MaxPool'));
  const normalization = nodes.find((node) => node.is('BatchNormalization'));
  if (conv === undefined || pool === undefined) return null;
  const none = { scale: NO_VALUES, shift: NO_VALUES };
  const affine = normalization === undefined ? none : affineOf(normalization, 'by division');
  const [layer, window] = [plainConvOf(conv), halvingPoolOf(pool)];
  if (affine === null || layer === null || window === null || !isFit(layer) || !isThreeByThree(window)) return null;
  const { strides, ...rest } = layer;
  // What a negative factor makes the largest was the least.
  const isScaledFirst = normalization !== undefined && nodes.indexOf(normalization) < nodes.indexOf(pool);
  return {
    relu: nodes.some((node) => node.is('Relu')),
    ...rest,
    ...affine,
    poolPads: window.poolPads,
    least: Array.from({ length: layer.outputs }, (_, o) => isScaledFirst && (affine.scale[o] ?? 1) < 0),
    nodes,
  };
}

/** From a Conv to a node, where the kernel has the same order: Relu before the normalization. Empty for any other. */
function nodesOf(last: Node): readonly Node[] {
  const nodes: Node[] = [];
  let node: Node | null = last;
  while (node !== null && ['Relu', 'MaxPool', 'BatchNormalization'].includes(node.type)) {
    nodes.unshift(node);
    node = onlyReadBy(node);
  }
  const types = nodes.map(({ type }) => type);
  const [relu, normalization] = [types.indexOf('Relu'), types.indexOf('BatchNormalization')];
  const isOnce = new Set(types).size === types.length;
  const isOrdered = relu < 0 || normalization < 0 || relu < normalization;
  return node?.is('Conv') === true && isOnce && isOrdered ? [node, ...nodes] : [];
}

function isFit({ kernel, strides }: PlainConv): boolean {
  return kernel.every((size) => size >= LEAST_KERNEL && size <= MOST_KERNEL) && strides.every((stride) => stride === 2);
}

function isThreeByThree({ poolKernel, poolPads }: HalvingPool): boolean {
  const [top, left, ...ends] = poolPads;
  return poolKernel.every((size) => size === 3) && top === 1 && left === 1 && ends.every((pad) => pad <= 1);
}
