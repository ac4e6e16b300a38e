/** bnn.Sign: the forward pass is exact, the backward pass is the estimator's. */

import type * as tf from '@tensorflow/tfjs-core';
import { sign, signGradient } from '../kernels.ts';
import type { StepBuilder } from './step.ts';

export const signStep: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const isWeight = x.constant !== null;
  return {
    inputs: [x],
    output: node.output,
    layout: context.layout(x),
    readsInputs: [0],
    readsOutput: false,
    forward: ([x]) => ({ output: sign(x as tf.Tensor) }),
    backward: ({ dy, inputs: [x], run }) => [
      signGradient(x as tf.Tensor, dy, isWeight ? run.weightEstimator : run.activationEstimator),
    ],
  };
};
