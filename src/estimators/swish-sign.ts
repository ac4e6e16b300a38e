/**
 * SwishSign, the derivative-of-sigmoid surrogate of BNN+.
 *
 * Forward    sign(z)
 * Surrogate  f(z) = 2σ(βz)·(1 + βz·(1 − σ(βz))) − 1
 * Gradient   s(z) = β·(2 − βz·tanh(βz/2)) / (1 + cosh(βz)); negative for large |z|
 * Schedule   none; β = 5
 * Paper      Darabi et al., "Regularized Binary Network Training", arXiv:1812.11800
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator, EstimatorSchedule } from './estimator.ts';
import { lazily, tabulateSlope } from './slope-table.ts';

/** At βz = 28 the slope is 1e-11 of its largest value. */
const TAIL = 28;

/** @param beta steepness, > 0. */
export function createSwishSign(beta: number): Estimator {
  const factor = (z: number): number => {
    // With e = exp(−u) nothing overflows: 1 + cosh(u) = (1 + e)² / 2e, tanh(u/2) = (1 − e) / (1 + e).
    const u = Math.abs(beta * z);
    const e = Math.exp(-u);
    return (beta * (2 - (u * (1 - e)) / (1 + e)) * 2 * e) / (1 + e) ** 2;
  };
  const attributes = lazily(() => tabulateSlope(factor, TAIL / beta));
  return {
    name: 'swish-sign',
    get attributes() {
      return attributes();
    },
    surrogate: (z) => {
      const sigmoid = 1 / (1 + Math.exp(-beta * z));
      return 2 * sigmoid * (1 + beta * z * (1 - sigmoid)) - 1;
    },
    factor,
    gradient: (x, dy) =>
      tf.tidy(() => {
        const u = tf.abs(tf.mul(x, beta));
        const e = tf.exp(tf.neg(u));
        const onePlus = tf.add(e, 1);
        const bracket = tf.sub(2, tf.div(tf.mul(u, tf.sub(1, e)), onePlus));
        return tf.mul(dy, tf.div(tf.mul(tf.mul(bracket, e), 2 * beta), tf.square(onePlus)));
      }),
  };
}

export function swishSignSchedule(beta: number): EstimatorSchedule {
  const estimator = createSwishSign(beta);
  return { name: 'swish-sign', at: () => estimator };
}
