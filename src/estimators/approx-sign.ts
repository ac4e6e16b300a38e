/**
 * ApproxSign, a piecewise quadratic.
 *
 * Forward    sign(z)
 * Surrogate  f(z) = 2z + z² (−1 ≤ z < 0), 2z − z² (0 ≤ z ≤ 1), sign(z) outside
 * Gradient   s(z) = max(0, 2 − 2|z|)
 * Schedule   none
 * Paper      Liu et al., "Bi-Real Net", ECCV 2018, arXiv:1808.00278; made for activations
 */

import * as tf from '@tensorflow/tfjs-core';
import type { EstimatorSchedule } from './estimator.ts';
import { lazily, tabulateSlope } from './slope-table.ts';

export function approxSignSchedule(): EstimatorSchedule {
  const factor = (z: number): number => Math.max(0, 2 - 2 * Math.abs(z));
  const attributes = lazily(() => tabulateSlope(factor, 1));
  const estimator = {
    name: 'approx-sign',
    get attributes() {
      return attributes();
    },
    surrogate: (z: number) => (Math.abs(z) <= 1 ? 2 * z - z * Math.abs(z) : Math.sign(z)),
    factor,
    gradient: (x: tf.Tensor, dy: tf.Tensor) => tf.tidy(() => tf.mul(dy, tf.relu(tf.sub(2, tf.mul(tf.abs(x), 2))))),
  };
  return { name: 'approx-sign', at: () => estimator };
}
