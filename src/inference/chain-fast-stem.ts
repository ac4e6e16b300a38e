/**
 * The float stem of a network for large pictures with its pooling, by Winograd's filtering (`native/kernels/stem_conv`):
 *
 *     Conv ──► Relu ──► MaxPool ──► BatchNormalization        Relu and BatchNormalization where there are any, the latter on either side
 *
 * Equal to the layers one by one but for rounding, so only where it is asked for.
 */

import type { Node } from '../graph/graph.ts';
import { poolOf } from './chain-int8-stem.ts';
import type { StemConvStep } from './chain-program.ts';
import { affineOf, layerOf, NO_VALUES, onlyReadBy } from './chain-stem.ts';

export type FastStem = Omit<StemConvStep, 'input'> & {
  /** Its nodes, first to last; `data` counts the inputs of the first. */
  readonly nodes: readonly Node[];
  readonly data: readonly number[];
};

/** Taps along an axis: kStemLeastKernel and kStemMostKernel. */
const LEAST_KERNEL = 5;
const MOST_KERNEL = 7;

/** @param last  the node whose output is that of the whole. */
export function fastStemOf(last: Node): FastStem | null {
  const nodes = chainOf(last);
  const [conv] = nodes;
  const pool = nodes.find((node) => node.is('MaxPool')) ?? null;
  const normalizations = nodes.filter((node) => node.is('BatchNormalization'));
  if (conv?.is('Conv') !== true || pool === null || normalizations.length > 1) return null;
  const [normalization] = normalizations;
  const affine =
    normalization === undefined ? { scale: NO_VALUES, shift: NO_VALUES } : affineOf(normalization, 'by division');
  const [layer, window] = [layerOf(conv), poolOf(pool)];
  if (affine === null || layer === null || window === null || !isFit(layer) || !isThreeByThree(window)) return null;
  const { strides, ...rest } = layer;
  // What a negative factor makes the largest was the least.
  const isScaledFirst = normalization !== undefined && nodes.indexOf(normalization) < nodes.indexOf(pool);
  return {
    kind: 'stemConv',
    relu: nodes.some((node) => node.is('Relu')),
    ...rest,
    ...affine,
    poolPads: window.poolPads,
    least: Array.from({ length: layer.outputs }, (_, o) => isScaledFirst && (affine.scale[o] ?? 1) < 0),
    nodes,
    data: [0],
  };
}

/** From a Conv to a node, in an order in which the kernel does them: Relu before the normalization. Empty for any other. */
function chainOf(last: Node): readonly Node[] {
  const nodes = [last];
  for (let node: Node | null = last; node !== null && !node.is('Conv'); ) {
    node = onlyReadBy(node);
    if (node !== null) nodes.unshift(node);
  }
  const [, ...types] = nodes.map(({ type }) => type);
  const isKnown = types.every((type) => ['Relu', 'MaxPool', 'BatchNormalization'].includes(type));
  const isOnce = new Set(types).size === types.length;
  const relu = types.indexOf('Relu');
  const normalization = types.indexOf('BatchNormalization');
  const isOrdered = relu < 0 || normalization < 0 || relu < normalization;
  return isKnown && isOnce && isOrdered ? nodes : [];
}

function isFit({ kernel, strides }: NonNullable<ReturnType<typeof layerOf>>): boolean {
  return kernel.every((size) => size >= LEAST_KERNEL && size <= MOST_KERNEL) && strides.every((stride) => stride === 2);
}

function isThreeByThree({ poolKernel, poolPads }: NonNullable<ReturnType<typeof poolOf>>): boolean {
  const [top, left, ...ends] = poolPads;
  return poolKernel.every((size) => size === 3) && top === 1 && left === 1 && ends.every((pad) => pad <= 1);
}
