/** One step of each optimizer on one tensor: a kernel where the current backend has it, else plain tfjs operations. */

import * as tf from '@tensorflow/tfjs-core';
import { hasKernel, runKernelMany } from './kernels.ts';

export interface SgdAttributes {
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
}

/** One step of SGD with momentum in PyTorch's form: v′ = momentum·v + grad + weightDecay·p, p′ = p − lr·v′. Returns [p′, v′]. */
export function sgdMomentum(
  param: tf.Tensor,
  grad: tf.Tensor,
  velocity: tf.Tensor,
  attributes: SgdAttributes,
): [tf.Tensor, tf.Tensor] {
  if (hasKernel('BnnSgdMomentum')) {
    return runKernelMany('BnnSgdMomentum', { param, grad, velocity }, attributes) as [tf.Tensor, tf.Tensor];
  }
  return tf.tidy(() => {
    const decayed = attributes.weightDecay === 0 ? grad : tf.add(grad, tf.mul(param, attributes.weightDecay));
    const next = tf.add(tf.mul(velocity, attributes.momentum), decayed);
    return [tf.sub(param, tf.mul(next, attributes.lr)), next];
  });
}

export interface AdamAttributes {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** True: AdamW (arXiv:1711.05101), the decay does not pass through the moments. */
  readonly decoupled: boolean;
  /** Counts from 1. */
  readonly step: number;
}

/** One step of Adam (Kingma and Ba, arXiv:1412.6980) with bias correction. Returns [p′, m′, v′]. */
export function adam(
  param: tf.Tensor,
  grad: tf.Tensor,
  m: tf.Tensor,
  v: tf.Tensor,
  attributes: AdamAttributes,
): [tf.Tensor, tf.Tensor, tf.Tensor] {
  if (hasKernel('BnnAdam')) {
    return runKernelMany('BnnAdam', { param, grad, m, v }, attributes) as [tf.Tensor, tf.Tensor, tf.Tensor];
  }
  const { lr, beta1, beta2, epsilon, weightDecay, decoupled, step } = attributes;
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

export interface BopAttributes {
  /** γ: how fast the average of gradients adapts. */
  readonly gamma: number;
  /** τ: how large it must be for a flip. */
  readonly threshold: number;
}

/**
 * One step of Bop (Helwegen et al., NeurIPS 2019, arXiv:1906.02107) on weights of ±1: m′ = (1 − γ)·m + γ·grad; a weight flips where
 * |m′| ≥ τ and m′ has its sign. Returns [w′, m′].
 */
export function bop(
  weight: tf.Tensor,
  grad: tf.Tensor,
  average: tf.Tensor,
  { gamma, threshold }: BopAttributes,
): [tf.Tensor, tf.Tensor] {
  return tf.tidy(() => {
    const next = tf.add(tf.mul(average, 1 - gamma), tf.mul(grad, gamma));
    // m′·w = |m′| exactly where the signs agree; with τ = 0 an average of 0 has no sign and flips nothing.
    const agreement = tf.mul(next, weight);
    const flips = tf.logicalAnd(tf.greaterEqual(agreement, threshold), tf.greater(agreement, 0));
    return [tf.mul(weight, tf.sub(1, tf.mul(tf.cast(flips, 'float32'), 2))), next];
  });
}
