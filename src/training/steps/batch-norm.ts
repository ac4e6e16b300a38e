/**
 * BatchNormalization together with what stands directly before it:
 *
 *     x ──► Mul(scale)? ──► Relu? ──► BatchNormalization ──► y
 *
 * Training uses the statistics of the batch and moves the running ones (the variance unbiased, as PyTorch and TensorFlow do);
 * evaluation uses the running ones.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Node, Value } from '../../graph/graph.ts';
import { batchNormGradient, batchNormInfer, batchNormTrain } from '../kernels.ts';
import { rankOf, unsupported } from './static-shape.ts';
import type { BuildContext, Step } from './step.ts';

export interface FusedNorm {
  readonly node: Node;
  readonly x: Value;
  readonly scale: Value | null;
  readonly relu: boolean;
  /** The nodes that the step stands for, besides the BatchNormalization. */
  readonly absorbed: readonly Node[];
}

/** Finds what may be computed together with a BatchNormalization: a ReLU, and a multiplication by a scalar before it. */
export function fuseNorm(node: Node): FusedNorm {
  const absorbed: Node[] = [];
  let x = node.requiredInput(0);
  const relu = soleProducer(x, 'Relu');
  if (relu !== null) {
    absorbed.push(relu);
    x = relu.requiredInput(0);
  }
  const mul = soleProducer(x, 'Mul');
  if (mul !== null) {
    const [a, b] = [mul.requiredInput(0), mul.requiredInput(1)];
    const scale = isComputedScalar(b) ? b : isComputedScalar(a) ? a : null;
    if (scale !== null) {
      absorbed.push(mul);
      return { node, x: scale === b ? a : b, scale, relu: relu !== null, absorbed };
    }
  }
  return { node, x, scale: null, relu: relu !== null, absorbed };
}

function soleProducer(value: Value, op: string): Node | null {
  const { producer } = value;
  return producer?.is(op) && value.uses.length === 1 ? producer : null;
}

function isComputedScalar(value: Value): boolean {
  return value.constant === null && value.shape?.length === 0;
}

export function buildNorm({ node, x, scale, relu }: FusedNorm, context: BuildContext): Step {
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => node.requiredInput(i)) as [Value, Value, Value, Value];
  const rank = rankOf(x);
  if (rank !== 2 && rank !== 4) unsupported(node, `the input has rank ${rank}, 2 and 4 are implemented`);
  const attributes = { epsilon: node.float('epsilon', 1e-5), relu };
  const keep = node.float('momentum', 0.9);
  const meanSlot = context.slot(mean);
  const varianceSlot = context.slot(variance);

  return {
    inputs: scale === null ? [x, gamma, beta, mean, variance] : [x, gamma, beta, mean, variance, scale],
    output: node.output,
    layout: context.layout(x),
    readsInputs: scale === null ? [0, 1] : [0, 1, 5],
    readsOutput: false,
    forward(tensors, run) {
      const [x, gamma, beta, mean, variance] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const inputs = { x, gamma, scale: tensors[5] ?? null };
      if (!run.training) return { output: batchNormInfer(inputs, beta, { mean, variance }, attributes) };
      const batch = batchNormTrain(inputs, beta, attributes);
      const count = x.size / gamma.size;
      const move = (running: tf.Tensor, now: tf.Tensor, factor: number) =>
        tf.tidy(() => tf.add(tf.mul(running, keep), tf.mul(now, (1 - keep) * factor)));
      run.setBuffer(meanSlot, move(mean, batch.mean, 1));
      run.setBuffer(varianceSlot, move(variance, batch.variance, count / Math.max(1, count - 1)));
      return { output: batch.y, saved: [batch.mean, batch.variance] };
    },
    recompute(tensors, saved) {
      const [x, gamma, beta] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor];
      const [mean, variance] = saved as [tf.Tensor, tf.Tensor];
      return batchNormInfer({ x, gamma, scale: tensors[5] ?? null }, beta, { mean, variance }, attributes);
    },
    backward({ dy, inputs, saved }) {
      const [mean, variance] = saved as [tf.Tensor, tf.Tensor];
      const [x, gamma] = inputs as [tf.Tensor, tf.Tensor];
      const statistics = { mean, variance };
      const { dx, dgamma, dbeta, dscale } = batchNormGradient(
        { x, gamma, scale: inputs[5] ?? null },
        statistics,
        dy,
        attributes,
      );
      return [dx, dgamma, dbeta, null, null, dscale];
    },
  };
}
