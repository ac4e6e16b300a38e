/** Tensors and axes between the order of the graph and the order in memory (see `Layout`). */

import * as tf from '@tensorflow/tfjs-core';
import { normalizeAxis } from '../../core/tensors/shape.ts';
import type { Node } from '../../graph/graph.ts';
import { unsupported } from './static-shape.ts';
import type { Layout } from './step.ts';

/** The graph's axis at each position in memory, where the two differ. */
const MEMORY_ORDER: Partial<Record<Layout, readonly number[]>> = { nhwc: [0, 2, 3, 1], hwio: [2, 3, 1, 0] };
/** The position in memory of each axis of the graph. */
const GRAPH_ORDER: Partial<Record<Layout, readonly number[]>> = { nhwc: [0, 3, 1, 2], hwio: [3, 2, 0, 1] };

/** The layout of a computed value of this rank. */
export function layoutOfRank(rank: number): Layout {
  return rank === 4 ? 'nhwc' : 'plain';
}

/** Numbers per axis, from the graph's order to the order in memory. */
export function inMemoryOrder<T>(values: readonly T[], layout: Layout): T[] {
  return MEMORY_ORDER[layout]?.map((axis) => values[axis] as T) ?? [...values];
}

/** A shape in memory in the graph's order. */
export function graphShape(shape: readonly number[], layout: Layout): number[] {
  if (layout === 'channel') return [...shape, 1, 1];
  return GRAPH_ORDER[layout]?.map((position) => shape[position] ?? 1) ?? [...shape];
}

/** Where an axis of the graph lies in memory. */
export function memoryAxis(axis: number, layout: Layout): number {
  return GRAPH_ORDER[layout]?.[axis] ?? axis;
}

/** An axis of the graph as a position from the start; refuses one that is out of range. */
export function graphAxis(node: Node, axis: number, rank: number): number {
  return normalizeAxis(axis, rank) ?? unsupported(node, `axis ${axis} of ${rank} dimensions`);
}

/** As `tf.transpose`; where only sizes of 1 change places nothing is moved. */
export function permute(t: tf.Tensor, order: readonly number[]): tf.Tensor {
  const moved = order.filter((axis) => t.shape[axis] !== 1);
  const isSameOrder = moved.every((axis, i) => i === 0 || axis > (moved[i - 1] ?? 0));
  if (!isSameOrder) return tf.transpose(t, [...order]);
  return tf.reshape(
    t,
    order.map((axis) => t.shape[axis] ?? 1),
  );
}

/** The tensor in the graph's order; the result is the caller's. */
export function toGraph(t: tf.Tensor, layout: Layout): tf.Tensor {
  if (layout === 'channel') return tf.reshape(t, graphShape(t.shape, layout));
  const order = GRAPH_ORDER[layout];
  return order === undefined ? tf.clone(t) : permute(t, order);
}

/** The inverse of `toGraph`. */
export function fromGraph(t: tf.Tensor, layout: Layout): tf.Tensor {
  if (layout === 'channel') return tf.reshape(t, [-1]);
  const order = MEMORY_ORDER[layout];
  return order === undefined ? tf.clone(t) : permute(t, order);
}

/**
 * An operand as it broadcasts in memory to a result of layout `to`; may be the tensor itself. `channel` meets NHWC as it is: C is
 * the last dimension of both.
 */
export function align(t: tf.Tensor, from: Layout, to: Layout): tf.Tensor {
  if (from === to || t.size === 1 || (from === 'channel' && to === 'nhwc')) return t;
  const ordered = toGraph(t, from);
  if (MEMORY_ORDER[to] === undefined) return ordered;
  return fromGraph(tf.reshape(ordered, [...new Array<number>(4 - ordered.rank).fill(1), ...ordered.shape]), to);
}

/**
 * The inverse of `align` for gradients: sums over the dimensions along which the operand was broadcast.
 *
 * @param shape of the operand, in its own layout.
 */
export function reverseAlign(dy: tf.Tensor, from: Layout, to: Layout, shape: readonly number[]): tf.Tensor {
  if (from === to || shape.every((size) => size === 1) || (from === 'channel' && to === 'nhwc')) {
    return reduceTo(dy, shape);
  }
  const inGraph = graphShape(shape, from);
  const reduced = reduceTo(toGraph(dy, to), inGraph);
  return fromGraph(reduced, from);
}

/** Sums a gradient over the dimensions along which an operand was broadcast; returns a tensor that the caller owns. */
function reduceTo(dy: tf.Tensor, shape: readonly number[]): tf.Tensor {
  if (dy.shape.length === shape.length && dy.shape.every((size, i) => size === shape[i])) return tf.clone(dy);
  return tf.tidy(() => {
    const missing = dy.shape.length - shape.length;
    const axes = dy.shape.flatMap((size, axis) =>
      axis < missing || (shape[axis - missing] === 1 && size !== 1) ? [axis] : [],
    );
    return tf.reshape(tf.sum(dy, axes), [...shape]);
  });
}
