/** Add, Sub, Mul, Div and PRelu: two operands with NumPy broadcasting. */

import * as tf from '@tensorflow/tfjs-core';
import type { Node, Value } from '../../graph/graph.ts';
import { align, layoutOfRank, reverseAlign } from './layout.ts';
import { rankOf } from './static-shape.ts';
import type { BuildContext, Layout, StepBuilder } from './step.ts';

type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
type Gradient = (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

interface Rule {
  readonly forward: Binary;
  /** With respect to each operand, before the sums over what was broadcast. */
  readonly gradients: readonly [Gradient, Gradient];
  /** Whether the gradients read the operands. */
  readonly readsOperands: boolean;
}

/** How the result of two operands lies: weights stay with weights, everything else of rank 4 is NHWC. */
function commonLayout(node: Node, a: Value, b: Value, context: BuildContext): Layout {
  const isScalar = (value: Value) => value.shape?.length === 0;
  if (isScalar(a)) return context.layout(b);
  if (isScalar(b) || context.layout(a) === context.layout(b)) return context.layout(a);
  const layouts = [context.layout(a), context.layout(b)];
  if (layouts.includes('hwio') && !layouts.includes('nhwc')) return 'hwio';
  return layoutOfRank(rankOf(node.output));
}

function binary(rule: Rule): StepBuilder {
  return (node, context) => {
    const operands = [node.requiredInput(0), node.requiredInput(1)] as const;
    const layout = commonLayout(node, ...operands, context);
    const from = operands.map((value) => context.layout(value)) as [Layout, Layout];
    return {
      inputs: operands,
      output: node.output,
      layout,
      readsInputs: rule.readsOperands ? [0, 1] : [],
      readsOutput: false,
      forward: ([a, b]) => ({
        output: tf.tidy(() =>
          rule.forward(align(a as tf.Tensor, from[0], layout), align(b as tf.Tensor, from[1], layout)),
        ),
      }),
      backward: ({ dy, inputs, inputShapes, needs }) =>
        inputShapes.map((shape, i) => {
          const [of, gradient] = [from[i], rule.gradients[i]];
          if (needs[i] !== true || of === undefined || gradient === undefined) return null;
          return tf.tidy(() => {
            const [a = dy, b = dy] = rule.readsOperands
              ? inputs.map((operand, k) => align(operand, from[k] ?? layout, layout))
              : [];
            return reverseAlign(gradient(dy, a, b), of, layout, shape);
          });
        }),
    };
  };
}

export const add: StepBuilder = binary({
  forward: (a, b) => tf.add(a, b),
  gradients: [(dy) => dy, (dy) => dy],
  readsOperands: false,
});

export const sub: StepBuilder = binary({
  forward: (a, b) => tf.sub(a, b),
  gradients: [(dy) => dy, (dy) => tf.mul(dy, -1)],
  readsOperands: false,
});

export const mul: StepBuilder = binary({
  forward: (a, b) => tf.mul(a, b),
  gradients: [(dy, _, b) => tf.mul(dy, b), (dy, a) => tf.mul(dy, a)],
  readsOperands: true,
});

export const div: StepBuilder = binary({
  forward: (a, b) => tf.div(a, b),
  gradients: [(dy, _, b) => tf.div(dy, b), (dy, a, b) => tf.div(tf.mul(dy, tf.mul(a, -1)), tf.mul(b, b))],
  readsOperands: true,
});

/**
 * x where x ≥ 0, else slope · x: relu(x) + slope·(x − relu(x)). The gradient at 0 is the slope's, as in PyTorch.
 */
export const prelu: StepBuilder = binary({
  forward: (x, slope) => {
    const positive = tf.relu(x);
    return tf.add(positive, tf.mul(tf.sub(x, positive), slope));
  },
  gradients: [
    (dy, x, slope) => {
      const above = tf.mul(dy, tf.step(x));
      return tf.add(above, tf.mul(tf.sub(dy, above), slope));
    },
    (dy, x) => tf.mul(dy, tf.sub(x, tf.relu(x))),
  ],
  readsOperands: true,
});
