/** Operators that move elements without changing them. */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../../core/tensors/shape.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { insertZeros } from '../../kernels/convolution.ts';
import {
  fromGraph,
  graphAxis,
  graphShape,
  inMemoryOrder,
  layoutOfRank,
  memoryAxis,
  permute,
  toGraph,
} from './layout.ts';
import { constantInput, listParameter, rankOf, sizeOf, unsupported } from './static-shape.ts';
import type { BuildContext, Layout, Step, StepBuilder } from './step.ts';

export const identity: StepBuilder = (node, context) => ({
  inputs: [node.requiredInput(0)],
  output: node.output,
  layout: context.layout(node.requiredInput(0)),
  readsInputs: [],
  readsOutput: false,
  sharesMemory: true,
  forward: ([x]) => ({ output: tf.clone(x as tf.Tensor) }),
  backward: ({ dy }) => [tf.clone(dy)],
});

/** ONNX writes "to the end" as the largest integer, of 32 or of 64 bits. */
const MOST = 2 ** 31 - 1;

/** Constant padding with numbers ≥ 0. */
export const pad: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const rank = rankOf(x);
  const layout = context.layout(x);
  if (node.string('mode', 'constant') !== 'constant') {
    unsupported(node, `mode "${node.string('mode', '')}", only padding with a constant is implemented`);
  }
  const pads = constantInput(node, 1);
  const value = node.input(2) === null ? 0 : (constantInput(node, 2)[0] ?? 0);
  const axes = node.input(3) === null ? pads.slice(0, pads.length / 2).map((_, i) => i) : constantInput(node, 3);
  if (pads.length !== 2 * axes.length || pads.some((p) => p < 0)) {
    unsupported(node, `pads [${pads.join(', ')}], expected numbers of at least 0, two per axis`);
  }
  const inGraph = Array.from({ length: rank }, (): [number, number] => [0, 0]);
  for (const [i, axis] of axes.entries()) {
    inGraph[graphAxis(node, axis, rank)] = [pads[i] ?? 0, pads[axes.length + i] ?? 0];
  }
  if (typeof x.shape?.[0] === 'string' && inGraph[0]?.some((p) => p > 0)) unsupported(node, 'it pads the batch');
  const pairs = inMemoryOrder(inGraph, layout);
  const begin = pairs.map(([before]) => before);
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
    forward: ([x]) => ({ output: tf.pad(x as tf.Tensor, pairs, value) }),
    backward: ({ dy, inputShapes: [shape = []] }) => [tf.slice(dy, begin, [...shape])],
  };
};

interface Range {
  readonly begin: number;
  readonly count: number;
  /** Not 0. */
  readonly step: number;
}

/** Which positions of each axis a Slice takes, in the graph's order; null for a whole axis. */
function rangesOf(node: Node, x: Value): (Range | null)[] {
  const rank = rankOf(x);
  const [starts = [], ends = []] = [listParameter(node, 'starts', 1), listParameter(node, 'ends', 2)];
  const axes = listParameter(node, 'axes', 3) ?? starts.map((_, i) => i);
  const steps = node.input(4) === null ? starts.map(() => 1) : constantInput(node, 4);
  const ranges = new Array<Range | null>(rank).fill(null);
  for (const [i, raw] of axes.entries()) {
    const axis = graphAxis(node, raw, rank);
    const [start = 0, end = 0, step = 1] = [starts[i], ends[i], steps[i]];
    if (axis === 0 && start === 0 && step === 1 && end >= MOST) continue;
    if (axis === 0 && typeof x.shape?.[0] !== 'number') unsupported(node, 'it takes a part of the batch');
    const size = sizeOf(x, axis);
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + size : at, low), high);
    const begin = clamp(start);
    ranges[axis] = { begin, count: Math.max(0, Math.ceil((clamp(end) - begin) / step)), step };
    if (ranges[axis]?.count === 0) unsupported(node, `nothing is left along axis ${axis}`);
  }
  return ranges;
}

/** A part of each picture: every `step`th position of an axis, backwards where it is negative. */
export const slice: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const layout = context.layout(x);
  const ranges = inMemoryOrder(rangesOf(node, x), layout);
  const turned = ranges.flatMap((range, axis) => (range !== null && range.step < 0 ? [axis] : []));
  // Of the turned tensor, positions are counted from the other end.
  const beginOf = (range: Range, size: number) => (range.step < 0 ? size - 1 - range.begin : range.begin);
  const strides = ranges.map((range) => Math.abs(range?.step ?? 1));
  const turn = (t: tf.Tensor): tf.Tensor => (turned.length === 0 ? t : tf.reverse(t, turned));
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
    forward: ([x]) => ({
      output: tf.tidy(() => {
        const t = turn(x as tf.Tensor);
        const begin = ranges.map((range, axis) => (range === null ? 0 : beginOf(range, t.shape[axis] ?? 0)));
        const span = ranges.map((range, axis) =>
          range === null ? (t.shape[axis] ?? 0) : (range.count - 1) * (strides[axis] ?? 1) + 1,
        );
        const part = tf.slice(t, begin, span);
        return strides.every((stride) => stride === 1)
          ? part
          : tf.stridedSlice(
              part,
              span.map(() => 0),
              span,
              strides,
            );
      }),
    }),
    backward: ({ dy, inputShapes: [shape = []] }) => [
      tf.tidy(() => {
        const spread = insertZeros(dy, 0, strides);
        const margins = ranges.map((range, axis): [number, number] => {
          if (range === null) return [0, 0];
          const before = beginOf(range, shape[axis] ?? 0);
          return [before, (shape[axis] ?? 0) - before - (spread.shape[axis] ?? 0)];
        });
        return tf.clone(turn(tf.pad(spread, margins)));
      }),
    ],
  };
};

/** The same elements in the graph's order under another shape, which `target` makes of the graph's shape of x. */
function reshaping(
  node: Node,
  context: BuildContext,
  target: (shape: readonly number[]) => number[],
  layout = layoutOfRank(rankOf(node.output)),
): Step {
  const x = node.requiredInput(0);
  const from = context.layout(x);
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
    sharesMemory: true,
    forward: ([x]) => ({
      output: tf.tidy(() => {
        const ordered = toGraph(x as tf.Tensor, from);
        return fromGraph(tf.reshape(ordered, target(ordered.shape)), layout);
      }),
    }),
    backward: ({ dy, inputShapes: [shape = []] }) => [
      tf.tidy(() => fromGraph(tf.reshape(toGraph(dy, layout), graphShape(shape, from)), from)),
    ],
  };
}

export const flatten: StepBuilder = (node, context) => {
  const rank = rankOf(node.requiredInput(0));
  const axis = node.int('axis', 1);
  const split = axis === rank ? rank : graphAxis(node, axis, rank);
  return reshaping(node, context, (shape) => [elementCount(shape.slice(0, split)), elementCount(shape.slice(split))]);
};

/** In the target, 0 copies a size (unless `allowzero`) and one −1 takes what is left. */
export const reshape: StepBuilder = (node, context) => {
  const target = constantInput(node, 1);
  const copies = node.int('allowzero', 0) === 0;
  const sizes = (shape: readonly number[]): number[] =>
    target.map((size, i) => (size === 0 && copies ? (shape[i] ?? 0) : size));
  // Of whatever length it is: a number for each channel, which meets pictures without being moved.
  return reshaping(node, context, sizes, target.join() === '-1,1,1' ? 'channel' : undefined);
};

export const squeeze: StepBuilder = (node, context) => {
  const rank = rankOf(node.requiredInput(0));
  const axes = listParameter(node, 'axes', 1)?.map((axis) => graphAxis(node, axis, rank));
  return reshaping(node, context, (shape) =>
    shape.filter((size, axis) => (axes === undefined ? size !== 1 : !axes.includes(axis))),
  );
};

export const unsqueeze: StepBuilder = (node, context) => {
  const listed = listParameter(node, 'axes', 1) ?? [];
  const rank = rankOf(node.requiredInput(0)) + listed.length;
  const axes = listed.map((axis) => graphAxis(node, axis, rank));
  return reshaping(node, context, (shape) => {
    const sizes = shape.values();
    return Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : (sizes.next().value ?? 1)));
  });
};

export const transpose: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const rank = rankOf(x);
  const perm = node.ints(
    'perm',
    Array.from({ length: rank }, (_, i) => rank - 1 - i),
  );
  const from = context.layout(x);
  const layout = layoutOfRank(rank);
  const inGraph = from === 'channel' ? null : inMemoryOrder(perm, layout).map((axis) => memoryAxis(axis, from));
  if (inGraph === null) unsupported(node, 'of a parameter per channel');
  const inverse = inGraph.map((_, axis) => inGraph.indexOf(axis));
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
    forward: ([x]) => ({ output: permute(x as tf.Tensor, inGraph) }),
    backward: ({ dy }) => [permute(dy, inverse)],
  };
};

export const concat: StepBuilder = (node, context) => {
  const inputs = node.inputs.map((_, i) => node.requiredInput(i));
  const layout = layoutOfRank(rankOf(node.output));
  const axis = memoryAxis(graphAxis(node, node.int('axis', 0), rankOf(node.output)), layout);
  const from = inputs.map((value): Layout => context.layout(value));
  return {
    inputs,
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
    forward: (parts) => ({
      output: tf.tidy(() =>
        tf.concat(
          parts.map((part, i) => inLayout(part, from[i] ?? layout, layout)),
          axis,
        ),
      ),
    }),
    backward: ({ dy, inputShapes, needs }) => {
      let at = 0;
      return inputShapes.map((shape, i) => {
        const of = from[i] ?? layout;
        const size = inMemoryOrder(graphShape(shape, of), layout);
        const begin = size.map((_, d) => (d === axis ? at : 0));
        at += size[axis] ?? 0;
        if (needs[i] !== true) return null;
        return tf.tidy(() => inLayout(tf.slice(dy, begin, size), layout, of));
      });
    },
  };
};

/** All elements in another layout of the same rank. */
function inLayout(t: tf.Tensor, from: Layout, to: Layout): tf.Tensor {
  return from === to ? t : fromGraph(toGraph(t, from), to);
}
