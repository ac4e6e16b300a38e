/**
 * The heavy operations of training. Each is one kernel where the current backend has it (names beginning with `Bnn`, registered
 * under `src/backends`), else a composition of plain tfjs operations with the same meaning. Activations are NHWC, so channels are
 * the last dimension. Callers own every tensor that is returned.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator } from '../estimators/estimator.ts';

type NamedTensors = Parameters<ReturnType<typeof tf.engine>['runKernel']>[1];
type Attributes = Parameters<ReturnType<typeof tf.engine>['runKernel']>[2];

/** Whether the current backend has a kernel. */
export function hasKernel(name: string): boolean {
  return tf.getKernel(name, tf.getBackend()) !== undefined;
}

/** Runs a kernel of the current backend that has one output. */
export function runKernel(name: string, inputs: Record<string, tf.Tensor>, attributes: object = {}): tf.Tensor {
  return tf.engine().runKernel(name, inputs as NamedTensors, attributes as Attributes) as tf.Tensor;
}

/** Runs a kernel of the current backend that has several outputs. */
export function runKernelMany(name: string, inputs: Record<string, tf.Tensor>, attributes: object): tf.Tensor[] {
  return tf.engine().runKernel(name, inputs as NamedTensors, attributes as Attributes) as tf.Tensor[];
}

/** sign(x) in {−1, +1}, +1 at 0 (see `core/bits.ts`). */
export function sign(x: tf.Tensor): tf.Tensor {
  if (hasKernel('BnnSign')) return runKernel('BnnSign', { x });
  return tf.tidy(() => tf.sub(tf.mul(tf.cast(tf.greaterEqual(x, 0), 'float32'), 2), 1));
}

/** dy · s(x), where s is the estimator's stand-in for sign′. */
export function signGradient(x: tf.Tensor, dy: tf.Tensor, estimator: Estimator): tf.Tensor {
  const { attributes } = estimator;
  const kernel = attributes?.estimator === 'table' ? 'BnnSignGradTable' : 'BnnSignGrad';
  if (attributes === null || !hasKernel(kernel)) return estimator.gradient(x, dy);
  return withScale(dy, estimator, (dy) => runKernel(kernel, { x, dy }, attributes));
}

/** Runs a kernel of the estimator's attributes on the gradient that it is meant for. */
export function withScale(dy: tf.Tensor, { scale = 1 }: Estimator, run: (dy: tf.Tensor) => tf.Tensor): tf.Tensor {
  if (scale === 1) return run(dy);
  const scaled = tf.mul(dy, scale);
  const result = run(scaled);
  scaled.dispose();
  return result;
}

export interface NormInputs {
  readonly x: tf.Tensor;
  readonly gamma: tf.Tensor;
  /** A scalar, or one number per channel, that x is multiplied by first. */
  readonly scale: tf.Tensor | null;
  /** Of the shape of x, added to y; gradients of the rest do not depend on it. */
  readonly residual?: tf.Tensor | undefined;
}

export interface NormAttributes {
  readonly epsilon: number;
  /** Whether max(·, 0) stands between the scale and the normalization. */
  readonly relu: boolean;
}

/** The inputs and those of the optional ones that are there. */
function withOptional(
  inputs: Record<string, tf.Tensor>,
  optional: Record<string, tf.Tensor | null | undefined>,
): Record<string, tf.Tensor> {
  const all = { ...inputs };
  for (const [name, tensor] of Object.entries(optional)) if (tensor) all[name] = tensor;
  return all;
}

function leadingAxes(x: tf.Tensor): number[] {
  return x.shape.slice(0, -1).map((_, axis) => axis);
}

/** r = relu(scale · x), or less where there is no ReLU or no scale. */
function rectified(x: tf.Tensor, scale: tf.Tensor | null, relu: boolean): tf.Tensor {
  const z = scale === null ? x : tf.mul(x, scale);
  return relu ? tf.relu(z) : z;
}

export interface NormStatistics {
  readonly mean: tf.Tensor;
  /** Biased: divided by n. */
  readonly variance: tf.Tensor;
}

/** The running statistics before a batch, and which share of them it leaves. */
export interface Running extends NormStatistics {
  /** In [0, 1]. */
  readonly keep: number;
}

export interface NormResult extends NormStatistics {
  readonly y: tf.Tensor;
  /** keep · before + (1 − keep) · now, the variance now being that of the batch divided by n − 1 in place of n. */
  readonly running: NormStatistics;
}

/**
 * Batch normalization with the statistics of the batch (Ioffe and Szegedy, arXiv:1502.03167) of r = relu(scale · x):
 * y = gamma · (r − mean) / √(variance + epsilon) + beta, statistics over all dimensions but the last.
 */
export function batchNormTrain(
  { x, gamma, scale, residual }: NormInputs,
  beta: tf.Tensor,
  attributes: NormAttributes,
  { keep, mean: runningMean, variance: runningVariance }: Running,
): NormResult {
  if (hasKernel('BnnBatchNormTrain')) {
    const inputs = withOptional({ x, gamma, beta, runningMean, runningVariance }, { scale, residual });
    const results = runKernelMany('BnnBatchNormTrain', inputs, { ...attributes, keep });
    const [y, mean, variance, newMean, newVariance] = results as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    return { y, mean, variance, running: { mean: newMean, variance: newVariance } };
  }
  return tf.tidy(() => {
    const r = rectified(x, scale, attributes.relu);
    const { mean, variance } = tf.moments(r, leadingAxes(x));
    const y = tf.add(tf.mul(tf.sub(r, mean), tf.mul(gamma, tf.rsqrt(tf.add(variance, attributes.epsilon)))), beta);
    const count = x.size / gamma.size;
    const unbias = count / Math.max(1, count - 1);
    const moved = (average: tf.Tensor, now: tf.Tensor, take: number): tf.Tensor =>
      tf.add(tf.mul(average, keep), tf.mul(now, take));
    const running = {
      mean: moved(runningMean, mean, 1 - keep),
      variance: moved(runningVariance, variance, (1 - keep) * unbias),
    };
    return { y: residual === undefined ? y : tf.add(residual, y), mean, variance, running };
  });
}

export interface NormGradients {
  readonly dx: tf.Tensor;
  readonly dgamma: tf.Tensor;
  readonly dbeta: tf.Tensor;
  /** Null exactly when there is no scale. */
  readonly dscale: tf.Tensor | null;
}

/**
 * Gradients of `batchNormTrain`, also through the batch statistics; relu′(0) = 0. With n values per channel and r̂ = (r − mean)/σ:
 * dr = gamma/σ · (dy − mean(dy) − r̂ · mean(dy · r̂)).
 */
export function batchNormGradient(
  { x, gamma, scale }: NormInputs,
  { mean, variance }: NormStatistics,
  dy: tf.Tensor,
  attributes: NormAttributes,
): NormGradients {
  if (hasKernel('BnnBatchNormGrad')) {
    const inputs = withOptional({ x, dy, gamma, mean, variance }, { scale });
    const [dx, dgamma, dbeta, dscale] = runKernelMany('BnnBatchNormGrad', inputs, attributes);
    if (dx === undefined || dgamma === undefined || dbeta === undefined) throw new Error('internal: BnnBatchNormGrad');
    return { dx, dgamma, dbeta, dscale: scale === null ? null : (dscale ?? null) };
  }
  const gradients = tf.tidy(() => {
    const axes = leadingAxes(x);
    const count = x.size / (x.shape.at(-1) ?? 1);
    const r = rectified(x, scale, attributes.relu);
    const inverse = tf.rsqrt(tf.add(variance, attributes.epsilon));
    const normalized = tf.mul(tf.sub(r, mean), inverse);
    const dbeta = tf.sum(dy, axes);
    const dgamma = tf.sum(tf.mul(dy, normalized), axes);
    const centred = tf.sub(dy, tf.add(tf.div(dbeta, count), tf.mul(normalized, tf.div(dgamma, count))));
    const dr = tf.mul(tf.mul(gamma, inverse), centred);
    const dz = attributes.relu ? tf.mul(dr, tf.step(r)) : dr;
    if (scale === null) return { dx: dz, dgamma, dbeta };
    const dscale = tf.sum(tf.mul(dz, x), scale.rank === 0 ? undefined : axes);
    return { dx: tf.mul(dz, scale), dgamma, dbeta, dscale: tf.reshape(dscale, scale.shape) };
  });
  return { ...gradients, dscale: gradients.dscale ?? null };
}

/** Batch normalization of relu(scale · x) with given statistics. */
export function batchNormInfer(
  { x, gamma, scale, residual }: NormInputs,
  beta: tf.Tensor,
  { mean, variance }: NormStatistics,
  attributes: NormAttributes,
): tf.Tensor {
  if (hasKernel('BnnBatchNormInfer')) {
    const inputs = withOptional({ x, gamma, beta, mean, variance }, { scale, residual });
    return runKernel('BnnBatchNormInfer', inputs, attributes);
  }
  return tf.tidy(() => {
    const factor = tf.mul(gamma, tf.rsqrt(tf.add(variance, attributes.epsilon)));
    const y = tf.add(tf.mul(tf.sub(rectified(x, scale, attributes.relu), mean), factor), beta);
    return residual === undefined ? y : tf.add(residual, y);
  });
}

/** The mean of |x| over all elements, a scalar. */
export function meanMagnitude(x: tf.Tensor): tf.Tensor {
  if (hasKernel('BnnMeanMagnitude')) return runKernel('BnnMeanMagnitude', { x });
  return tf.tidy(() => tf.mean(tf.abs(x)));
}

/** sign(x) · dy / n + sum, with sign(0) = 0: the gradient of `meanMagnitude`; dy is one number. */
export function meanMagnitudeGradient(x: tf.Tensor, dy: tf.Tensor, sum: tf.Tensor | undefined): tf.Tensor {
  if (hasKernel('BnnMeanMagnitudeGrad')) return runKernel('BnnMeanMagnitudeGrad', withOptional({ x, dy }, { sum }));
  return tf.tidy(() => {
    const dx = tf.mul(tf.sign(x), tf.reshape(tf.div(dy, x.size), []));
    return sum === undefined ? dx : tf.add(sum, dx);
  });
}
