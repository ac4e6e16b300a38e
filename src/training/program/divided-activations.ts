/**
 * Estimators that see an activation divided by its standard deviation within the picture: sign(x) = sign(x/σ), so only gradients differ.
 *
 *     a = x/σ    σ = √(var(x) + 1e-5) over all channels and places of a picture, var unbiased
 *     dx = g/σ                                                  `constant`: σ counts as a constant (OvSW, arXiv:2407.05257)
 *     dx = g/σ − (x − mean)·Σ(g·x)/((n − 1)·σ³)                 `through`: it does not (ReCU, arXiv:2103.12369, BiPer, arXiv:2404.01278)
 *
 * with g = dy·s(a), s the slope of the estimator.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator, EstimatorSchedule } from '../../estimators/estimator.ts';
import { signGradient } from './sign-gradients.ts';

export const DEVIATIONS = ['none', 'through', 'constant'] as const;
export type Deviation = (typeof DEVIATIONS)[number];

const EPSILON = 1e-5;

/** @param schedule  of activations. */
export function dividedSchedule(schedule: EstimatorSchedule, deviation: Deviation): EstimatorSchedule {
  if (deviation === 'none') return schedule;
  return { ...schedule, at: (epoch, epochs) => divided(schedule.at(epoch, epochs), deviation === 'through') };
}

function divided(estimator: Estimator, goesThrough: boolean): Estimator {
  const { forLayer } = estimator;
  return {
    name: estimator.name,
    // Kernels of a slope know no deviation.
    attributes: null,
    surrogate: (z) => estimator.surrogate(z),
    factor: (z, dy) => estimator.factor(z, dy),
    ...(forLayer !== undefined && {
      forLayer: (layer: string) => divided(forLayer.call(estimator, layer), goesThrough),
    }),
    gradient: (x, dy) => tf.tidy(() => gradientOf(x, dy, estimator, goesThrough)),
  };
}

function gradientOf(x: tf.Tensor, dy: tf.Tensor, estimator: Estimator, goesThrough: boolean): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis).slice(1);
  const degrees = Math.max(1, x.size / (x.shape[0] ?? 1) - 1);
  const centred = tf.sub(x, tf.mean(x, axes, true));
  const variance = tf.add(tf.div(tf.sum(tf.square(centred), axes, true), degrees), EPSILON);
  const deviation = tf.sqrt(variance);
  const g = signGradient(tf.div(x, deviation), dy, estimator);
  if (!goesThrough) return tf.div(g, deviation);
  const along = tf.div(tf.sum(tf.mul(g, x), axes, true), tf.mul(variance, degrees));
  return tf.div(tf.sub(g, tf.mul(centred, along)), deviation);
}
