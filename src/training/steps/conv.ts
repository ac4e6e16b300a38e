/** Conv: NHWC activations, HWIO weights. */

import * as tf from '@tensorflow/tfjs-core';
import type { Node, Value } from '../../graph/graph.ts';
import type { ConvAttributes } from '../../kernels/convolution.ts';
import { run } from '../../kernels/run.ts';
import { relaxesWeights } from './sign.ts';
import { rankOf, sizeOf, unsupported } from './static-shape.ts';
import type { BuildContext, StepBuilder } from './step.ts';
import { convAttributes, windowOf } from './window.ts';

export interface ConvPlan {
  readonly weight: Value;
  readonly bias: Value | null;
  readonly attributes: ConvAttributes;
}

/** Reads a Conv over `x`; refuses what cannot be trained. */
export function planConv(node: Node, x: Value, context: BuildContext): ConvPlan {
  const weight = node.requiredInput(1);
  if (rankOf(x) !== 4)
    unsupported(node, `only two-dimensional convolutions are implemented, the input has rank ${rankOf(x)}`);
  if (context.layout(weight) !== 'hwio') unsupported(node, 'its weight must be a constant, or bnn.Sign of one');
  const window = windowOf(node, x, [sizeOf(weight, 2), sizeOf(weight, 3)], context.explicitPadding);
  const isBinary = weight.producer?.is('Sign', 'bnn') === true;
  const precision = isBinary && context.precision !== 'float32' ? 'bf16' : 'float32';
  return { weight, bias: node.input(2), attributes: { ...convAttributes(window), precision } };
}

export const conv: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const { weight, bias, attributes: ofWindow } = planConv(node, x, context);
  const attributes = { ...ofWindow, groups: node.int('group', 1) };
  /** What is evaluated and measured is what a file of the network computes; unless asked for, what is trained, too. */
  const exact = { ...attributes, precision: 'float32' as const };
  const roundsForward = context.precision === 'bf16-all';
  return {
    inputs: bias === null ? [x, weight] : [x, weight, bias],
    output: node.output,
    layout: 'nhwc',
    readsInputs: [0, 1],
    readsOutput: false,
    forward([x, filter, bias], pass) {
      const isStep = pass.training && pass.statisticsKeep === undefined;
      const ofPass = roundsForward && isStep && !relaxesWeights(pass) ? attributes : exact;
      const y = run('BnnConv', { x: x as tf.Tensor, filter: filter as tf.Tensor }, ofPass);
      if (bias === undefined) return { output: y };
      const output = tf.add(y, bias);
      y.dispose();
      return { output };
    },
    backward({ dy, inputs: [x, filter], needs }) {
      const [input, weights] = [x as tf.Tensor, filter as tf.Tensor];
      const { shape: inputShape } = input;
      const { shape: filterShape } = weights;
      return [
        needs[0] ? run('BnnConvInputGrad', { dy, filter: weights }, { ...attributes, inputShape }) : null,
        needs[1] ? run('BnnConvFilterGrad', { x: input, dy }, { ...attributes, filterShape }) : null,
        needs[2] ? tf.sum(dy, [0, 1, 2]) : null,
      ];
    },
  };
};
