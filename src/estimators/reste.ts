/**
 * ReSTE, the rectified straight-through estimator.
 *
 * Forward    sign(z)
 * Surrogate  f(z) = sign(z)·|z|^(1/o), o ≥ 1; o = 1 is the identity, o → ∞ is sign
 * Gradient   with a = |z|:  a ≤ m      s = m^((1−o)/o)           the secant slope of f over [0, m]
 *                           m < a ≤ t  s = (1/o)·a^((1−o)/o)     f′
 *                           a > t      s = 0
 *            m = 0.1 and t = 1.5 as in the official code; s drops by 1/o where a crosses m outwards.
 * Schedule   o(epoch) = 1 + (1 − cos(π/2 · epoch/epochs))·(o_end − 1), per epoch; o_end = 3 is the paper's best
 * Paper      Wu, Zheng, Liu, Zheng, "Estimator Meets Equilibrium Perspective", ICCV 2023, arXiv:2308.06689
 */

import { resteGradient } from '../kernels/sign.ts';
import type { Estimator, EstimatorSchedule } from './estimator.ts';

export interface ResteOptions {
  /** Threshold beyond which no gradient passes. */
  readonly t?: number;
  /** Threshold below which the slope is constant. */
  readonly m?: number;
}

export const RESTE_T = 1.5;
export const RESTE_M = 0.1;

/** @param o power parameter, ≥ 1. */
export function createReste(o: number, { t = RESTE_T, m = RESTE_M }: ResteOptions = {}): Estimator {
  // A float32 0.1 is larger than the double 0.1: thresholds must be compared in the precision of the data.
  const outer = Math.fround(t);
  const inner = Math.fround(m);
  const power = (1 - o) / o;
  const innerSlope = m ** power;
  return {
    name: 'reste',
    attributes: { estimator: 'reste', o, t: outer, m: inner },
    surrogate: (z) => Math.sign(z) * Math.abs(z) ** (1 / o),
    factor: (z) => {
      const a = Math.abs(z);
      const compared = Math.fround(a);
      if (!(compared <= outer)) return 0;
      return compared <= inner ? innerSlope : a ** power / o;
    },
    gradient: (x, dy) => resteGradient(x, dy, { o, t: outer, m: inner }, m),
  };
}

/** The paper's schedule of o; `epoch` counts from 0, so training starts at o = 1 exactly and ends just below `oEnd`. */
export function resteO(epoch: number, epochs: number, oEnd: number): number {
  return 1 + (1 - Math.cos((epoch / epochs) * (Math.PI / 2))) * (oEnd - 1);
}

export function resteSchedule(oEnd: number, options: ResteOptions = {}): EstimatorSchedule {
  const o = (epoch: number, epochs: number): number => resteO(epoch, epochs, oEnd);
  return { name: 'reste', at: (epoch, epochs) => createReste(o(epoch, epochs), options), o };
}
