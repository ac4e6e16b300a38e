/** Element-wise operators with NumPy broadcasting. */

import * as tf from '@tensorflow/tfjs-core';
import type { Value } from '../../graph/graph.ts';
import { unsupported } from './static-shape.ts';
import type { BuildContext, Layout, StepBuilder } from './step.ts';

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

/** Both operands must lie alike, unless one is a single number, or one number per channel. */
function commonLayout(a: Value, b: Value, context: BuildContext): Layout | null {
  const isScalar = (value: Value) => value.shape?.length === 0;
  if (isScalar(a)) return context.layout(b);
  if (isScalar(b) || context.layout(a) === context.layout(b)) return context.layout(a);
  const layouts = new Set([context.layout(a), context.layout(b)]);
  if (layouts.has('channel') && layouts.has('nhwc')) return 'nhwc';
  return null;
}

export const add: StepBuilder = (node, context) => {
  const inputs = [node.requiredInput(0), node.requiredInput(1)] as const;
  const layout = commonLayout(...inputs, context);
  if (layout === null) unsupported(node, 'its operands have different ranks');
  return {
    inputs,
    output: node.output,
    layout,
    readsInputs: [],
    readsOutput: false,
    forward: ([a, b]) => ({ output: tf.add(a as tf.Tensor, b as tf.Tensor) }),
    backward: ({ dy, inputShapes, needs }) => inputShapes.map((shape, i) => (needs[i] ? reduceTo(dy, shape) : null)),
  };
};

export const mul: StepBuilder = (node, context) => {
  const inputs = [node.requiredInput(0), node.requiredInput(1)] as const;
  const layout = commonLayout(...inputs, context);
  if (layout === null) unsupported(node, 'its operands have different ranks');
  return {
    inputs,
    output: node.output,
    layout,
    readsInputs: [0, 1],
    readsOutput: false,
    forward: ([a, b]) => ({ output: tf.mul(a as tf.Tensor, b as tf.Tensor) }),
    backward: ({ dy, inputs: [a, b], needs }) => {
      const gradient = (of: tf.Tensor, other: tf.Tensor) => tf.tidy(() => reduceTo(tf.mul(dy, other), of.shape));
      return [
        needs[0] ? gradient(a as tf.Tensor, b as tf.Tensor) : null,
        needs[1] ? gradient(b as tf.Tensor, a as tf.Tensor) : null,
      ];
    },
  };
};

export const relu: StepBuilder = (node, context) => ({
  inputs: [node.requiredInput(0)],
  output: node.output,
  layout: context.layout(node.requiredInput(0)),
  readsInputs: [],
  readsOutput: true,
  forward: ([x]) => ({ output: tf.relu(x as tf.Tensor) }),
  backward: ({ dy, output }) => [tf.tidy(() => tf.mul(dy, tf.step(output)))],
});

/** |x|; its derivative at 0 is 0, as in PyTorch. */
export const abs: StepBuilder = (node, context) => ({
  inputs: [node.requiredInput(0)],
  output: node.output,
  layout: context.layout(node.requiredInput(0)),
  readsInputs: [0],
  readsOutput: false,
  forward: ([x]) => ({ output: tf.abs(x as tf.Tensor) }),
  backward: ({ dy, inputs: [x] }) => [tf.tidy(() => tf.mul(dy, tf.sign(x as tf.Tensor)))],
});

/**
 * x where x ≥ 0, else slope · x, with one slope per channel: relu(x) + slope·(x − relu(x)). The gradient at 0 is the slope's, as in
 * PyTorch.
 */
export const prelu: StepBuilder = (node, context) => {
  const [x, slope] = [node.requiredInput(0), node.requiredInput(1)];
  if (context.layout(x) !== 'nhwc' || context.layout(slope) !== 'channel') {
    unsupported(node, 'only one slope per channel of an image, [C, 1, 1], is implemented');
  }
  return {
    inputs: [x, slope],
    output: node.output,
    layout: 'nhwc',
    readsInputs: [0, 1],
    readsOutput: false,
    forward: ([x, slope]) => ({
      output: tf.tidy(() => {
        const positive = tf.relu(x as tf.Tensor);
        return tf.add(positive, tf.mul(tf.sub(x as tf.Tensor, positive), slope as tf.Tensor));
      }),
    }),
    backward: ({ dy, inputs: [x, slope], needs }) => {
      const [input, slopes] = [x as tf.Tensor, slope as tf.Tensor];
      const dx = tf.tidy(() => {
        const above = tf.mul(dy, tf.step(input));
        return tf.add(above, tf.mul(tf.sub(dy, above), slopes));
      });
      const dslope = tf.tidy(() => reduceTo(tf.mul(dy, tf.sub(input, tf.relu(input))), slopes.shape));
      if (needs[0] && needs[1]) return [dx, dslope];
      (needs[0] ? dslope : dx).dispose();
      return needs[0] ? [dx, null] : [null, dslope];
    },
  };
};
