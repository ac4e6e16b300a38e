/**
 * DSQ, differentiable soft quantization, in the one-bit case with a given sharpness.
 *
 * Forward    sign(z)
 * Surrogate  f(z) = tanh(k·z) / tanh(k) for |z| ≤ 1, sign(z) outside; k = ln(2/α − 1)/2
 * Gradient   s(z) = k·(1 − tanh²(k·z)) / tanh(k) for |z| ≤ 1, else 0
 * Schedule   none; the paper learns α per tensor, starting at 0.2
 * Paper      Gong et al., "Differentiable Soft Quantization", ICCV 2019, arXiv:1908.05033
 */

import * as tf from '@tensorflow/tfjs-core';
import { sechSquared, sechSquaredOf } from '../kernels/tanh-slope.ts';
import type { Estimator, EstimatorSchedule } from './estimator.ts';
import { lazily, tabulateSlope } from './slope-table.ts';

/** @param alpha in (0, 1): how far the surrogate is from a step; towards 0 it becomes sign. */
export function createDsq(alpha: number): Estimator {
  const k = Math.log(2 / alpha - 1) / 2;
  const scale = 1 / (1 - alpha);
  const factor = (z: number): number => (Math.abs(z) <= 1 ? scale * k * sechSquared(k * z) : 0);
  const attributes = lazily(() => tabulateSlope(factor, 1));
  return {
    name: 'dsq',
    get attributes() {
      return attributes();
    },
    surrogate: (z) => (Math.abs(z) <= 1 ? scale * Math.tanh(k * z) : Math.sign(z)),
    factor,
    gradient: (x, dy) =>
      tf.tidy(() => {
        const inside = tf.cast(tf.lessEqual(tf.abs(x), 1), 'float32');
        return tf.mul(dy, tf.mul(inside, tf.mul(sechSquaredOf(tf.mul(x, k)), scale * k)));
      }),
  };
}

export function dsqSchedule(alpha: number): EstimatorSchedule {
  const estimator = createDsq(alpha);
  return { name: 'dsq', at: () => estimator };
}
