/**
 * The float stem of a network for large pictures with its pooling, as `native/kernels/stem_conv` takes it:
 *
 *     Conv ──► BatchNormalization ──► Relu ──► MaxPool        the last three in any order; one or both of the others may be missing
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

/**
 * For a network without one, where it was asked for.
 *
 * @param also  what else it takes, for people.
 */
export function noFastStem(at: string, also?: string): BnnError {
  const needs =
    'it takes a float Conv of stride 2, 5 to 7 rows and columns, one group and at most 16 channels, and behind it a MaxPool of 3×3 and stride 2, padded by 1, with Relu and BatchNormalization or without';
  return new BnnError(
    'E_UNSUPPORTED',
    'the network has no stem that a fast one (--fast-stem, fastStem) could replace',
    {
      at,
      hint: `${[needs, also].filter(Boolean).join('; ')}; leave the option out`,
    },
  );
}

/** Taps along an axis: kStemLeastKernel and kStemMostKernel. */
const LEAST_KERNEL = 5;
const MOST_KERNEL = 7;
/** A picture has few; more is another kind of layer. */
const MOST_CHANNELS = 16;
const MOST_OUTPUTS = 2 ** 12;

/** @param last  the node whose output is that of the whole. */
export function floatStemOf(last: Node): FloatStem | null {
  const nodes = nodesOf(last);
  const [conv] = nodes;
  const placeOf = (op: string) => nodes.findIndex((node) => node.is(op));
  const pool = nodes[placeOf('MaxPool')];
  const normalization = nodes[placeOf('BatchNormalization')];
  if (conv === undefined || pool === undefined) return null;
  const none = { scale: NO_VALUES, shift: NO_VALUES };
  const affine = normalization === undefined ? none : affineOf(normalization, 'by division');
  const [layer, window] = [plainConvOf(conv), halvingPoolOf(pool)];
  if (affine === null || layer === null || window === null || !isFit(layer) || !isThreeByThree(window)) return null;
  // In front of Relu the factors are those of the weights.
  const isFolded = normalization !== undefined && placeOf('BatchNormalization') < placeOf('Relu');
  const isScaledFirst = placeOf('BatchNormalization') < placeOf('MaxPool');
  const { strides, ...rest } = isFolded ? folded(layer, affine) : layer;
  return {
    ...rest,
    ...(isFolded ? none : affine),
    relu: placeOf('Relu') >= 0,
    poolPads: window.poolPads,
    // Where a negative factor comes on the other side of the maximum than the kernel has it, the largest is the least.
    least: Array.from({ length: layer.outputs }, (_, o) => (affine.scale[o] ?? 1) < 0 && isScaledFirst !== isFolded),
    nodes,
  };
}

/** From a Conv to a node. Empty for any other. */
function nodesOf(last: Node): readonly Node[] {
  const nodes: Node[] = [];
  const isPart = ({ type, outputs }: Node) =>
    ['Relu', 'MaxPool', 'BatchNormalization'].includes(type) &&
    outputs.length === 1 &&
    nodes.every((node) => node.type !== type);
  let node: Node | null = last;
  while (node !== null && isPart(node)) {
    nodes.unshift(node);
    node = onlyReadBy(node);
  }
  return node?.is('Conv') === true ? [node, ...nodes] : [];
}

function folded(layer: PlainConv, { scale, shift }: Affine): PlainConv {
  const perOutput = layer.weights.length / layer.outputs;
  return {
    ...layer,
    weights: layer.weights.map((weight, i) => weight * (scale[Math.floor(i / perOutput)] ?? 1)),
    bias: shift.map((value, o) => (layer.bias[o] ?? 0) * (scale[o] ?? 1) + value),
  };
}

function isFit({ kernel, strides, channels, outputs }: PlainConv): boolean {
  return (
    kernel.every((size) => size >= LEAST_KERNEL && size <= MOST_KERNEL) &&
    strides.every((stride) => stride === 2) &&
    channels <= MOST_CHANNELS &&
    outputs <= MOST_OUTPUTS
  );
}

function isThreeByThree({ poolKernel, poolPads }: HalvingPool): boolean {
  const [top, left, ...ends] = poolPads;
  return poolKernel.every((size) => size === 3) && top === 1 && left === 1 && ends.every((pad) => pad <= 1);
}
