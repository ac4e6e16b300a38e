/**
 * EDE, the error decay estimator of IR-Net.
 *
 * Forward    sign(z)
 * Surrogate  f(z) = k·tanh(t·z)
 * Gradient   s(z) = k·t·(1 − tanh²(t·z))
 * Schedule   t(epoch) = 10^(log₁₀ T_min + (log₁₀ T_max − log₁₀ T_min)·epoch/epochs), k = max(1/t, 1); T_min = 0.001, T_max = 10
 * Paper      Qin et al., "Forward and Backward Information Retention", CVPR 2020, arXiv:1909.10788
 */

import * as tf from '@tensorflow/tfjs-core';
import { sechSquared, sechSquaredOf } from '../kernels/tanh-slope.ts';
import type { Estimator, EstimatorSchedule } from './estimator.ts';
import { lazily, tabulateSlope } from './slope-table.ts';

export const EDE_T_MIN = 1e-3;
export const EDE_T_MAX = 10;
/** sech²(11) is 1e-9. */
const TAIL = 11;

/** Sharpness t of an epoch, on a logarithmic scale from `tMin` towards `tMax`. */
export function edeT(epoch: number, epochs: number, tMin = EDE_T_MIN, tMax = EDE_T_MAX): number {
  const [low, high] = [Math.log10(tMin), Math.log10(tMax)];
  return 10 ** (low + ((high - low) * epoch) / epochs);
}

/** @param t sharpness, > 0. */
export function createEde(t: number): Estimator {
  const k = Math.max(1 / t, 1);
  const factor = (z: number): number => k * t * sechSquared(t * z);
  const attributes = lazily(() => tabulateSlope(factor, TAIL / t));
  return {
    name: 'ede',
    get attributes() {
      return attributes();
    },
    surrogate: (z) => k * Math.tanh(t * z),
    factor,
    gradient: (x, dy) => tf.tidy(() => tf.mul(dy, tf.mul(sechSquaredOf(tf.mul(x, t)), k * t))),
  };
}

export function edeSchedule(): EstimatorSchedule {
  return { name: 'ede', at: (epoch, epochs) => createEde(edeT(epoch, epochs)) };
}
