/** Operators that move elements without changing them. */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../../core/shape.ts';
import type { Node } from '../../graph/graph.ts';
import { constantInput, rankOf, sizeOf, unsupported } from './static-shape.ts';
import type { BuildContext, Layout, Step, StepBuilder } from './step.ts';

/** Reorders per-axis numbers from the graph's order to the order in memory. */
function inMemoryOrder<T>(values: readonly T[], layout: Layout): T[] {
  const order = layout === 'nhwc' ? [0, 2, 3, 1] : layout === 'hwio' ? [2, 3, 1, 0] : values.map((_, i) => i);
  return order.map((axis) => values[axis] as T);
}

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
  if (node.string('mode', 'constant') !== 'constant') unsupported(node, `mode "${node.string('mode', '')}"`);
  const pads = constantInput(node, 1);
  const value = node.input(2) === null ? 0 : (constantInput(node, 2)[0] ?? 0);
  if (pads.length !== 2 * rank || pads.some((p) => p < 0)) unsupported(node, `pads [${pads.join(', ')}]`);
  const pairs = inMemoryOrder(
    Array.from({ length: rank }, (_, i): [number, number] => [pads[i] ?? 0, pads[rank + i] ?? 0]),
    layout,
  );
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

/** [N, …] → [N, k] in the graph's order of elements, which for NHWC activations with H·W > 1 takes a transposition. */
function flattening(node: Node, context: BuildContext): Step {
  const x = node.requiredInput(0);
  const transposes = context.layout(x) === 'nhwc' && !(sizeOf(x, 2) === 1 && sizeOf(x, 3) === 1);
  return {
    inputs: [x],
    output: node.output,
    layout: 'plain',
    readsInputs: [],
    readsOutput: false,
    forward: ([x]) => ({
      output: tf.tidy(() => {
        const input = x as tf.Tensor;
        const ordered = transposes ? tf.transpose(input, [0, 3, 1, 2]) : input;
        return tf.reshape(ordered, [input.shape[0] ?? 0, -1]);
      }),
    }),
    backward: ({ dy, inputShapes: [shape = []] }) => [
      tf.tidy(() => {
        const [n = 0, h = 0, w = 0, c = 0] = shape;
        if (!transposes) return tf.reshape(dy, [...shape]);
        return tf.transpose(tf.reshape(dy, [n, c, h, w]), [0, 2, 3, 1]);
      }),
    ],
  };
}

export const flatten: StepBuilder = (node, context) => {
  if (node.int('axis', 1) !== 1) unsupported(node, `axis = ${node.int('axis', 1)}, only 1 is implemented`);
  return flattening(node, context);
};

/** Only the reshape that flattens all but the batch dimension. */
export const reshape: StepBuilder = (node, context) => {
  if (rankOf(node.output) !== 2) unsupported(node, 'only reshaping to [N, features] is implemented');
  return flattening(node, context);
};

/** Only over the spatial dimensions after a global pooling. */
export const squeeze: StepBuilder = (node, context) => {
  if (rankOf(node.requiredInput(0)) !== 4 || rankOf(node.output) !== 2) {
    unsupported(node, 'only [N, C, 1, 1] to [N, C] is implemented');
  }
  return flattening(node, context);
};

/** The mean of all elements, as weight scales need it. */
export const reduceMean: StepBuilder = (node) => {
  const x = node.requiredInput(0);
  const rank = rankOf(x);
  const axes = node.input(1) === null ? node.ints('axes', []) : constantInput(node, 1);
  if (axes.length !== 0 && new Set(axes.map((axis) => (axis + rank) % rank)).size !== rank) {
    unsupported(node, `axes [${axes.join(', ')}], only the mean over all dimensions is implemented`);
  }
  if (node.int('keepdims', 1) !== 0) unsupported(node, 'keepdims must be 0');
  return {
    inputs: [x],
    output: node.output,
    layout: 'plain',
    readsInputs: [],
    readsOutput: false,
    forward: ([x]) => ({ output: tf.mean(x as tf.Tensor) }),
    backward: ({ dy, inputShapes: [shape = []] }) => [
      tf.tidy(() => tf.mul(tf.ones([...shape]), tf.div(dy, elementCount(shape)))),
    ],
  };
};
