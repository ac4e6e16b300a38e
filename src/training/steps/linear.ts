/** Gemm and MatMul of [N, K] activations with a weight matrix. */

import * as tf from '@tensorflow/tfjs-core';
import type { Node, Value } from '../../graph/graph.ts';
import { rankOf, unsupported } from './static-shape.ts';
import type { Step, StepBuilder } from './step.ts';

/** y = x · weight (transposed when `transposed`) + bias. */
function linear(node: Node, x: Value, weight: Value, bias: Value | null, transposed: boolean): Step {
  if (rankOf(x) !== 2 || rankOf(weight) !== 2) unsupported(node, 'only matrices are implemented');
  return {
    inputs: bias === null ? [x, weight] : [x, weight, bias],
    output: node.output,
    layout: 'plain',
    readsInputs: [0, 1],
    readsOutput: false,
    forward: ([x, weight, bias]) => ({
      output: tf.tidy(() => {
        const y = tf.matMul(x as tf.Tensor2D, weight as tf.Tensor2D, false, transposed);
        return bias === undefined ? y : tf.add(y, bias);
      }),
    }),
    backward: ({ dy, inputs: [x, weight], needs }) => {
      const [a, w, g] = [x, weight, dy] as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      return [
        needs[0] ? tf.matMul(g, w, false, !transposed) : null,
        needs[1] ? (transposed ? tf.matMul(g, a, true, false) : tf.matMul(a, g, true, false)) : null,
        needs[2] ? tf.sum(g, 0) : null,
      ];
    },
  };
}

export const gemm: StepBuilder = (node) => {
  if (node.float('alpha', 1) !== 1 || node.float('beta', 1) !== 1 || node.int('transA', 0) !== 0) {
    unsupported(node, 'alpha, beta and transA other than 1, 1 and 0 are not implemented');
  }
  const bias = node.input(2);
  if (bias !== null && rankOf(bias) !== 1) unsupported(node, `its bias has rank ${rankOf(bias)}, expected 1`);
  const [x, weight] = [node.requiredInput(0), node.requiredInput(1)];
  return linear(node, x, weight, bias, node.int('transB', 0) !== 0);
};

export const matMul: StepBuilder = (node) => linear(node, node.requiredInput(0), node.requiredInput(1), null, false);
