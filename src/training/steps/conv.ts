/** Conv: NHWC activations, HWIO weights. */

import * as tf from '@tensorflow/tfjs-core';
import type { Node, Value } from '../../graph/graph.ts';
import { conv2dAttributes, convolution } from './convolution.ts';
import { rankOf, sizeOf, unsupported } from './static-shape.ts';
import type { BuildContext, StepBuilder } from './step.ts';
import { type Window, windowOf } from './window.ts';

export interface ConvPlan {
  readonly weight: Value;
  readonly bias: Value | null;
  readonly window: Window;
  /** Of tfjs's Conv2D. */
  readonly attributes: object;
}

/** Reads a Conv over `x`; refuses what cannot be trained. */
export function planConv(node: Node, x: Value, context: BuildContext): ConvPlan {
  const weight = node.requiredInput(1);
  if (rankOf(x) !== 4)
    unsupported(node, `only two-dimensional convolutions are implemented, the input has rank ${rankOf(x)}`);
  if (context.layout(weight) !== 'hwio') unsupported(node, 'its weight must be a constant, or bnn.Sign of one');
  const window = windowOf(node, x, [sizeOf(weight, 2), sizeOf(weight, 3)], context.explicitPadding);
  return { weight, bias: node.input(2), window, attributes: conv2dAttributes(window) };
}

export const conv: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const { weight, bias, window } = planConv(node, x, context);
  const operation = convolution(window, node.int('group', 1), sizeOf(weight, 1));
  return {
    inputs: bias === null ? [x, weight] : [x, weight, bias],
    output: node.output,
    layout: 'nhwc',
    readsInputs: [0, 1],
    readsOutput: false,
    forward([x, filter, bias]) {
      const y = operation.forward(x as tf.Tensor, filter as tf.Tensor);
      if (bias === undefined) return { output: y };
      const output = tf.add(y, bias);
      y.dispose();
      return { output };
    },
    backward({ dy, inputs: [x, filter], needs }) {
      const [input, weights] = [x as tf.Tensor, filter as tf.Tensor];
      return [
        needs[0] ? operation.inputGradient(dy, weights, input.shape) : null,
        needs[1] ? operation.filterGradient(input, dy, weights.shape) : null,
        needs[2] ? tf.sum(dy, [0, 1, 2]) : null,
      ];
    },
  };
};
