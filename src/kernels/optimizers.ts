/** One step of an optimizer on one tensor, in the form PyTorch defines it. Inputs have the same shape; results are new tensors. */

import * as tf from '@tensorflow/tfjs-core';

export type SgdAttributes = {
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
};

/** `BnnSgdMomentum`: v′ = momentum·v + grad + weightDecay·p, p′ = p − lr·v′. */
export function sgdMomentum(
  { param, grad, velocity }: { readonly param: tf.Tensor; readonly grad: tf.Tensor; readonly velocity: tf.Tensor },
  { lr, momentum, weightDecay }: SgdAttributes,
): [param: tf.Tensor, velocity: tf.Tensor] {
  return tf.tidy(() => {
    const decayed = weightDecay === 0 ? grad : tf.add(grad, tf.mul(param, weightDecay));
    const next = tf.add(tf.mul(velocity, momentum), decayed);
    return [tf.sub(param, tf.mul(next, lr)), next];
  });
}

export type AdamInputs = {
  readonly param: tf.Tensor;
  readonly grad: tf.Tensor;
  readonly m: tf.Tensor;
  readonly v: tf.Tensor;
};

export type AdamAttributes = {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** True: AdamW (arXiv:1711.05101), the decay does not pass through the moments. */
  readonly decoupled: boolean;
  /** Counts from 1. */
  readonly step: number;
};

/** `BnnAdam`: Adam (Kingma and Ba, arXiv:1412.6980) with bias correction. */
export function adam(
  { param, grad, m, v }: AdamInputs,
  { lr, beta1, beta2, epsilon, weightDecay, decoupled, step }: AdamAttributes,
): [param: tf.Tensor, m: tf.Tensor, v: tf.Tensor] {
  return tf.tidy(() => {
    const g = weightDecay === 0 || decoupled ? grad : tf.add(grad, tf.mul(param, weightDecay));
    const m1 = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1));
    const v1 = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2));
    const corrected = tf.div(m1, 1 - beta1 ** step);
    const root = tf.add(tf.sqrt(tf.div(v1, 1 - beta2 ** step)), epsilon);
    const kept = decoupled && weightDecay !== 0 ? tf.mul(param, 1 - lr * weightDecay) : param;
    return [tf.sub(kept, tf.mul(tf.div(corrected, root), lr)), m1, v1];
  });
}
