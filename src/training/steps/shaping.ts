/** Operators that move elements without changing them. */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../../core/shape.ts';
import type { Node } from '../../graph/graph.ts';
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
import { constantInput, listParameter, rankOf, unsupported } from './static-shape.ts';
import type { BuildContext, Layout, Step, StepBuilder } from './step.ts';

export const identity: StepBuilder = (node, context) => ({
  inputs: [node.requiredInput(0)],
  output: node.output,
  layout: context.layout(node.requiredInput(0)),
  readsInputs: [],
  readsOutput: false,
  forward: ([x]) => ({ output: tf.clone(x as tf.Tensor) }),
  backward: ({ dy }) => [tf.clone(dy)],
});

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

/** The same elements in the graph's order under another shape, which `target` makes of the graph's shape of x. */
function reshaping(node: Node, context: BuildContext, target: (shape: readonly number[]) => number[]): Step {
  const x = node.requiredInput(0);
  const from = context.layout(x);
  const layout = layoutOfRank(rankOf(node.output));
  return {
    inputs: [x],
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
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
  return reshaping(node, context, (shape) => target.map((size, i) => (size === 0 && copies ? (shape[i] ?? 0) : size)));
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
