/** Estimators of one size, so that a comparison tells their shapes apart from how large their gradients are. */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator, EstimatorSchedule } from './estimator.ts';

/**
 * The estimator with its slope scaled to `peak` at 0, where the slopes of all schedules here are largest. Its surrogate stays.
 *
 * @param schedule  whose slope depends neither on the layer nor on the incoming gradient.
 */
export function withPeak(schedule: EstimatorSchedule, peak: number): EstimatorSchedule {
  return { ...schedule, at: (epoch, epochs) => scaled(schedule.at(epoch, epochs), peak) };
}

function scaled(estimator: Estimator, peak: number): Estimator {
  const scale = peak / estimator.factor(0);
  return {
    name: estimator.name,
    scale,
    get attributes() {
      return estimator.attributes;
    },
    surrogate: (z) => estimator.surrogate(z),
    factor: (z, dy) => scale * estimator.factor(z, dy),
    gradient: (x, dy) => tf.tidy(() => estimator.gradient(x, tf.mul(dy, scale))),
  };
}
