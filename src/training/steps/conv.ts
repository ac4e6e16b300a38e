/** Conv: NHWC activations, HWIO weights. */

import * as tf from '@tensorflow/tfjs-core';
import type { Node, Value } from '../../graph/graph.ts';
import { runKernel } from '../kernels.ts';
import { rankOf, sizeOf, unsupported } from './static-shape.ts';
import type { BuildContext, StepBuilder } from './step.ts';
import { padBefore, unpadGradient, type Window, windowOf } from './window.ts';

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
  if (node.int('group', 1) !== 1) unsupported(node, `group = ${node.int('group', 1)}, only 1 is implemented`);
  if (context.layout(weight) !== 'hwio') unsupported(node, 'its weight must be a constant, or bnn.Sign of one');
  const window = windowOf(node, x, [sizeOf(weight, 2), sizeOf(weight, 3)], context.explicitPadding);
  if (window.dilations.some((d) => d !== 1))
    unsupported(node, 'dilations other than 1 have no gradient in TensorFlow.js');
  const attributes = {
    strides: window.strides,
    pad: window.pad,
    dataFormat: 'NHWC',
    dilations: window.dilations,
    dimRoundingMode: undefined,
  };
  return { weight, bias: node.input(2), window, attributes };
}

export const conv: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const { weight, bias, window, attributes } = planConv(node, x, context);
  return {
    inputs: bias === null ? [x, weight] : [x, weight, bias],
    output: node.output,
    layout: 'nhwc',
    readsInputs: [0, 1],
    readsOutput: false,
    forward([x, filter, bias]) {
      const padded = padBefore(x as tf.Tensor, window);
      const y = runKernel('Conv2D', { x: padded, filter: filter as tf.Tensor }, attributes);
      padded.dispose();
      if (bias === undefined) return { output: y };
      const output = tf.add(y, bias);
      y.dispose();
      return { output };
    },
    backward({ dy, inputs: [x, filter], needs }) {
      const input = x as tf.Tensor;
      const weights = filter as tf.Tensor;
      const padded = padBefore(input, window);
      const dx = needs[0]
        ? runKernel('Conv2DBackpropInput', { dy, filter: weights }, { ...attributes, inputShape: padded.shape })
        : null;
      const dw = needs[1]
        ? runKernel('Conv2DBackpropFilter', { x: padded, dy }, { ...attributes, filterShape: weights.shape })
        : null;
      padded.dispose();
      const db = needs[2] ? tf.sum(dy, [0, 1, 2]) : null;
      return [dx === null ? null : unpadGradient(dx, window, input.shape), dw, db];
    },
  };
};
