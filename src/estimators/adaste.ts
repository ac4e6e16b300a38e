/**
 * AdaSTE, a straight-through estimator that looks at the incoming gradient; for weights.
 *
 * Forward    sign(θ); in the paper w*(θ) = clip((θ + μ·(1 + α)·sign(θ))/(1 + μ), −1, 1) during training
 * Surrogate  w*
 * Gradient   with g the incoming gradient, α = 0.01; g "pulls back" when θ·g > 0, "pushes out" when θ·g < 0:
 *              |g| ≤ 0.001, θ = 0 or |θ| = 1 − μ·α    s = 1/(1 + μ)                                       (1 where μ·α ≥ 1)
 *              μ·α ≥ 1 and |θ| > 0.001                pulls back: min(½, 1/|θ|), pushes out: 0; 1 for smaller |θ|
 *              |θ| > 1 − μ·α                          pulls back: min(½, (1 + 2μ + μα)/(1 + μ)/|θ|), pushes out: 0
 *              |θ| < 1 − μ·α                          pulls back: clip((2μ(1 + α) − θ)/(1 + μ)/|θ|, 0, ½), pushes out: 1/(1 + μ)
 *            as in the official code, whose inner case takes θ with its sign.
 * Schedule   μ = 0.01·1.05^(700·epoch/epochs), at most 1/α: the paper's growth over its 700 epochs
 * Paper      Le, Høier, Lin, Zach, "AdaSTE: An Adaptive Straight-Through Estimator", CVPR 2022, arXiv:2112.02880
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator, EstimatorSchedule } from './estimator.ts';

const ALPHA = 0.01;
/** Gradients up to this size have no direction, nor at the end of training have weights. */
const QUIET = 1e-3;
const PAPER_EPOCHS = 700;

/** μ of an epoch. */
export function adasteMu(epoch: number, epochs: number): number {
  return Math.min(1 / ALPHA, 0.01 * 1.05 ** ((PAPER_EPOCHS * epoch) / epochs));
}

/** w*(θ). */
export function adasteMap(theta: number, mu: number): number {
  const mapped = (theta + mu * (1 + ALPHA) * Math.sign(theta)) / (1 + mu);
  return Math.min(1, Math.max(-1, mapped));
}

/** s(θ, g). */
export function adasteScale(theta: number, g: number, mu: number): number {
  const isEnd = mu * ALPHA >= 1;
  const size = Math.abs(theta);
  const hasNoSide = isEnd ? size <= QUIET : size === 0 || size === 1 - mu * ALPHA;
  if (Math.abs(g) <= QUIET || hasNoSide) return isEnd ? 1 : 1 / (1 + mu);
  const pullsBack = theta * g > 0;
  if (isEnd) return pullsBack ? Math.min(0.5, 1 / size) : 0;
  if (size > 1 - mu * ALPHA) return pullsBack ? Math.min(0.5, (1 + 2 * mu + mu * ALPHA) / (1 + mu) / size) : 0;
  if (!pullsBack) return 1 / (1 + mu);
  return Math.min(0.5, Math.max(0, (2 * mu * (1 + ALPHA) - theta) / (1 + mu) / size));
}

/** w* as tfjs operations; the caller owns the result. */
export function adasteMapOf(theta: tf.Tensor, mu: number): tf.Tensor {
  return tf.tidy(() => tf.clipByValue(tf.div(tf.add(theta, tf.mul(tf.sign(theta), mu * (1 + ALPHA))), 1 + mu), -1, 1));
}

/** dy · s(θ, dy) as tfjs operations; the caller owns the result. */
export function adasteGradient(theta: tf.Tensor, dy: tf.Tensor, mu: number): tf.Tensor {
  return tf.tidy(() => {
    const isEnd = mu * ALPHA >= 1;
    const size = tf.abs(theta);
    const safe = tf.maximum(size, 1e-30);
    const product = tf.mul(tf.sign(theta), tf.sign(dy));
    const saturated = isEnd ? tf.greaterEqual(size, 0) : tf.greater(size, 1 - mu * ALPHA);
    const reach = isEnd ? 1 : (1 + 2 * mu + mu * ALPHA) / (1 + mu);
    const outer = tf.minimum(tf.div(reach, safe), 0.5);
    const inner = tf.clipByValue(
      tf.div(tf.sub((2 * mu * (1 + ALPHA)) / (1 + mu), tf.div(theta, 1 + mu)), safe),
      0,
      0.5,
    );
    const plain = tf.fill(theta.shape, isEnd ? 1 : 1 / (1 + mu));
    const back = tf.where(saturated, outer, inner);
    const out = tf.where(saturated, tf.zerosLike(plain), plain);
    const directed = tf.where(tf.greater(product, 0), back, out);
    const hasNoSide = isEnd
      ? tf.lessEqual(size, QUIET)
      : tf.logicalOr(tf.equal(size, 0), tf.equal(size, 1 - mu * ALPHA));
    const isQuiet = tf.logicalOr(tf.lessEqual(tf.abs(dy), QUIET), hasNoSide);
    return tf.mul(dy, tf.where(isQuiet, plain, directed));
  });
}

/** @param mu > 0. */
export function createAdaste(mu: number): Estimator {
  return {
    name: 'adaste',
    attributes: null,
    surrogate: (theta) => adasteMap(theta, mu),
    factor: (theta, dy = 0) => adasteScale(theta, dy, mu),
    gradient: (theta, dy) => adasteGradient(theta, dy, mu),
  };
}

export function adasteSchedule(): EstimatorSchedule {
  return { name: 'adaste', at: (epoch, epochs) => createAdaste(adasteMu(epoch, epochs)) };
}
