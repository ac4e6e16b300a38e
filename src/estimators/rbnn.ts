/**
 * The training-aware polynomial of RBNN (its rotation of the weights is not part of this).
 *
 * Forward    sign(z)
 * Surrogate  f(z) = k·(√2·t·z − sign(z)·t²·z²/2) for |z| < √2/t, else k·sign(z)
 * Gradient   s(z) = max(0, k·(√2·t − t²·|z|))
 * Schedule   t as in EDE from 0.01 to 10; weights k = max(1/t, 1); activations k = 1 and t = max(t, 1)
 * Paper      Lin et al., "Rotated Binary Neural Network", NeurIPS 2020, arXiv:2009.13055
 */

import * as tf from '@tensorflow/tfjs-core';
import { EDE_T_MAX, edeT } from './ede.ts';
import type { Estimator, EstimatorSchedule, SignRole } from './estimator.ts';
import { lazily, tabulateSlope } from './slope-table.ts';

const T_MIN = 1e-2;

/** @param role weights and activations use different k and t. */
export function createRbnn(t: number, role: SignRole): Estimator {
  const sharpness = role === 'weight' ? t : Math.max(t, 1);
  const k = role === 'weight' ? Math.max(1 / t, 1) : 1;
  const [peak, fall] = [k * Math.SQRT2 * sharpness, k * sharpness ** 2];
  const factor = (z: number): number => Math.max(0, peak - fall * Math.abs(z));
  const attributes = lazily(() => tabulateSlope(factor, peak / fall));
  return {
    name: 'rbnn',
    get attributes() {
      return attributes();
    },
    surrogate: (z) =>
      Math.abs(z) < Math.SQRT2 / sharpness ? peak * z - (fall * z * Math.abs(z)) / 2 : k * Math.sign(z),
    factor,
    gradient: (x, dy) => tf.tidy(() => tf.mul(dy, tf.relu(tf.sub(peak, tf.mul(tf.abs(x), fall))))),
  };
}

export function rbnnSchedule(role: SignRole): EstimatorSchedule {
  return { name: 'rbnn', at: (epoch, epochs) => createRbnn(edeT(epoch, epochs, T_MIN, EDE_T_MAX), role) };
}
