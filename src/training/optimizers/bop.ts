/** Bop, which has no kernel: few networks are trained by it. */

import * as tf from '@tensorflow/tfjs-core';

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

/** Bop's γ of an epoch: it falls after each fifth of the epochs (in the paper after each 100 of 500, by 0.1). */
export function bopGamma({ bopGamma: start, bopDecay, epochs }: BopSchedule, epoch: number): number {
  return start * bopDecay ** Math.min(4, Math.floor((5 * epoch) / epochs));
}

interface BopSchedule {
  readonly bopGamma: number;
  readonly bopDecay: number;
  readonly epochs: number;
}
