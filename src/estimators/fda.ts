/**
 * FDA, the Fourier series of the square wave, without the noise-adaptation branch of the paper.
 *
 * Forward    sign(z)
 * Surrogate  f(z) = (4/π)·Σ_{i=0..n} sin((2i + 1)·ω·z) / (2i + 1), ω = 0.1
 * Gradient   s(z) = (4ω/π)·Σ cos((2i + 1)·ω·z) = (2ω/π)·sin(2(n + 1)·ω·z) / sin(ω·z) for |z| ≤ 1, else 0
 * Schedule   n(epoch) = 9 + ⌊9·epoch/epochs⌋
 * Paper      Xu et al., "Learning Frequency Domain Approximation for Binary Neural Networks", NeurIPS 2021, arXiv:2103.00841
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator, EstimatorSchedule } from './estimator.ts';
import { lazily, tabulateSlope } from './slope-table.ts';

export const FDA_OMEGA = 0.1;
/** Below this |z| the quotient of sines is its limit to within 2e-8. */
const NEAR_ZERO = 1e-4;

/** Number of the last harmonic at an epoch. */
export function fdaTerms(epoch: number, epochs: number): number {
  return 9 + Math.floor((9 * epoch) / epochs);
}

/** @param n number of the last harmonic, ≥ 0. */
export function createFda(n: number): Estimator {
  const limit = ((4 * FDA_OMEGA) / Math.PI) * (n + 1);
  const factor = (z: number): number => {
    if (!(Math.abs(z) <= 1)) return 0;
    if (z === 0) return limit;
    return (((2 * FDA_OMEGA) / Math.PI) * Math.sin(2 * (n + 1) * FDA_OMEGA * z)) / Math.sin(FDA_OMEGA * z);
  };
  const attributes = lazily(() => tabulateSlope(factor, 1));
  return {
    name: 'fda',
    get attributes() {
      return attributes();
    },
    surrogate: (z) => {
      let sum = 0;
      for (let i = 0; i <= n; i++) sum += Math.sin((2 * i + 1) * FDA_OMEGA * z) / (2 * i + 1);
      return (4 / Math.PI) * sum;
    },
    factor,
    gradient: (x, dy) =>
      tf.tidy(() => {
        const a = tf.abs(x);
        const away = tf.maximum(a, NEAR_ZERO);
        const sines = tf.div(tf.sin(tf.mul(away, 2 * (n + 1) * FDA_OMEGA)), tf.sin(tf.mul(away, FDA_OMEGA)));
        const slope = tf.mul(sines, (2 * FDA_OMEGA) / Math.PI);
        return tf.mul(dy, tf.mul(slope, tf.cast(tf.lessEqual(a, 1), 'float32')));
      }),
  };
}

export function fdaSchedule(): EstimatorSchedule {
  return { name: 'fda', at: (epoch, epochs) => createFda(fdaTerms(epoch, epochs)) };
}
