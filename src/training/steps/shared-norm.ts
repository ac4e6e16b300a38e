/**
 * Batch normalization of a batch that several processes have parts of: statistics, and the sums that its gradient needs, are added up
 * over all of them, in float64. The result is that of one process with the whole batch, up to rounding.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { NormAttributes } from '../../kernels/batch-norm.ts';
import type { InputsOf } from '../../kernels/contract.ts';
import { run } from '../../kernels/run.ts';

type SumUp = (values: Float64Array) => void;

interface Statistics {
  readonly mean: tf.Tensor;
  /** Biased. */
  readonly variance: tf.Tensor;
  runningMean(keep: number): tf.Tensor;
  runningVariance(keep: number): tf.Tensor;
}

/**
 * Statistics of all parts.
 *
 * @param given  with the running statistics, `shift` being their mean, the same in all processes: squares are summed about it, so that
 *   no digits are lost to a mean that is far from 0.
 */
export function sumStatistics(
  given: InputsOf<'BnnBatchNormMoments'> & { readonly shift: tf.Tensor; readonly variance: tf.Tensor },
  relu: boolean,
  sumUp: SumUp,
): Statistics {
  const { x, scale, shift, variance: runningVariance } = given;
  const [ownMean, ownVariance] = run('BnnBatchNormMoments', { x, scale }, { relu });
  const [means, variances, shifts] = [ownMean, ownVariance, shift].map((t) => t.dataSync()) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const channels = means.length;
  const rows = x.size / channels;
  const sums = new Float64Array(2 * channels + 1);
  for (let c = 0; c < channels; c++) {
    const offset = at(means, c) - at(shifts, c);
    sums[c] = rows * offset;
    sums[channels + c] = rows * (at(variances, c) + offset * offset);
  }
  sums[2 * channels] = rows;
  sumUp(sums);
  tf.dispose([ownMean, ownVariance]);
  const count = at(sums, 2 * channels);
  const offsets = sums.subarray(0, channels).map((sum) => sum / count);
  const mean = vector(channels, (c) => at(shifts, c) + at(offsets, c));
  const variance = vector(channels, (c) => Math.max(0, at(sums, channels + c) / count - at(offsets, c) ** 2));
  const now = { mean: mean.dataSync(), variance: variance.dataSync() };
  const unbias = count / Math.max(1, count - 1);
  const running = runningVariance.dataSync();
  return {
    mean,
    variance,
    runningMean: (keep) => vector(channels, (c) => keep * at(shifts, c) + (1 - keep) * at(now.mean, c)),
    runningVariance: (keep) =>
      vector(channels, (c) => keep * at(running, c) + (1 - keep) * unbias * at(now.variance, c)),
  };
}

/** As `BnnBatchNormGrad`: dx and dscale of this part through the statistics of all, dgamma and dbeta of this part. */
export function sumGradients(
  given: InputsOf<'BnnBatchNormGrad'>,
  attributes: NormAttributes,
  sumUp: SumUp,
): [dx: tf.Tensor, dgamma: tf.Tensor, dbeta: tf.Tensor, dscale?: tf.Tensor] {
  const { x, dy, gamma, mean, variance, scale } = given;
  const [dgamma, dbeta] = run('BnnBatchNormGradSums', { x, dy, mean, variance, scale }, attributes);
  const channels = gamma.size;
  const sums = Float64Array.of(...dgamma.dataSync(), ...dbeta.dataSync(), x.size / channels);
  sumUp(sums);
  const count = at(sums, 2 * channels);
  const meanDgamma = vector(channels, (c) => at(sums, c) / count);
  const meanDbeta = vector(channels, (c) => at(sums, channels + c) / count);
  const inputs = { x, dy, gamma, mean, variance, meanDgamma, meanDbeta, scale };
  const [dx, dscale] = run('BnnBatchNormGradApply', inputs, attributes);
  tf.dispose([meanDgamma, meanDbeta]);
  return dscale === undefined ? [dx, dgamma, dbeta] : [dx, dgamma, dbeta, dscale];
}

function vector(channels: number, value: (channel: number) => number): tf.Tensor {
  return tf.tensor1d(Float32Array.from({ length: channels }, (_, c) => value(c)));
}

function at(values: ArrayLike<number>, i: number): number {
  return values[i] ?? Number.NaN;
}
