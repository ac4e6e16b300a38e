/**
 * Batch normalization (Ioffe and Szegedy, arXiv:1502.03167) over all dimensions but the last, with an optional scale and rectifier
 * before it and an optional sum after it:
 *
 *     z = scale · x,  r = relu ? max(z, 0) : z,  y = gamma · (r − mean) / √(variance + epsilon) + beta + residual
 */

import * as tf from '@tensorflow/tfjs-core';

type Normalized = {
  readonly x: tf.Tensor;
  /** One number per channel, as are beta and all statistics. */
  readonly gamma: tf.Tensor;
  /** One number. */
  readonly scale?: tf.Tensor | undefined;
};

type Added = {
  readonly beta: tf.Tensor;
  /** Of the shape of x; gradients of the rest do not depend on it. */
  readonly residual?: tf.Tensor | undefined;
};

type Statistics = {
  readonly mean: tf.Tensor;
  /** Biased: divided by n. */
  readonly variance: tf.Tensor;
};

export type NormAttributes = {
  readonly epsilon: number;
  readonly relu: boolean;
  /** That a binary convolution reads the result: for kernels that pack signs where they compute them. */
  readonly areSignsRead?: boolean;
};

/**
 * `BnnBatchNormTrain`: with the statistics of the batch. The running ones become keep · before + (1 − keep) · now, the variance now being
 * that of the batch divided by n − 1 in place of n.
 */
export function batchNormTrain(
  {
    x,
    gamma,
    beta,
    runningMean,
    runningVariance,
    scale,
    residual,
  }: Normalized & Added & { readonly runningMean: tf.Tensor; readonly runningVariance: tf.Tensor },
  { epsilon, relu, keep }: NormAttributes & { readonly keep: number },
): [y: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, runningMean: tf.Tensor, runningVariance: tf.Tensor] {
  return tf.tidy(() => {
    const r = rectified(x, scale, relu);
    const { mean, variance } = tf.moments(r, leadingAxes(x));
    const y = tf.add(tf.mul(tf.sub(r, mean), tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon)))), beta);
    const count = x.size / gamma.size;
    const unbias = count / Math.max(1, count - 1);
    const moved = (average: tf.Tensor, now: tf.Tensor, take: number): tf.Tensor =>
      tf.add(tf.mul(average, keep), tf.mul(now, take));
    return [
      residual === undefined ? y : tf.add(residual, y),
      mean,
      variance,
      moved(runningMean, mean, 1 - keep),
      moved(runningVariance, variance, (1 - keep) * unbias),
    ];
  });
}

/** `BnnBatchNormInfer`: with given statistics. */
export function batchNormInfer(
  { x, gamma, beta, mean, variance, scale, residual }: Normalized & Added & Statistics,
  { epsilon, relu }: NormAttributes,
): tf.Tensor {
  return tf.tidy(() => {
    const factor = tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon)));
    const y = tf.add(tf.mul(tf.sub(rectified(x, scale, relu), mean), factor), beta);
    return residual === undefined ? y : tf.add(residual, y);
  });
}

/**
 * `BnnBatchNormGrad`: gradients of `BnnBatchNormTrain`, also through the statistics of the batch; relu′(0) = 0. With n values per channel
 * and r̂ = (r − mean)/σ: dr = gamma/σ · (dy − mean(dy) − r̂ · mean(dy · r̂)).
 *
 * @returns dscale, of the shape of the scale, exactly where there is one.
 */
export function batchNormGrad(
  { x, dy, gamma, mean, variance, scale }: Normalized & Statistics & { readonly dy: tf.Tensor },
  { epsilon, relu }: NormAttributes,
): [dx: tf.Tensor, dgamma: tf.Tensor, dbeta: tf.Tensor, dscale?: tf.Tensor] {
  return tf.tidy(() => {
    const axes = leadingAxes(x);
    const count = x.size / (x.shape.at(-1) ?? 1);
    const r = rectified(x, scale, relu);
    const inverse = tf.rsqrt(tf.add(variance, epsilon));
    const normalized = tf.mul(tf.sub(r, mean), inverse);
    const dbeta = tf.sum(dy, axes);
    const dgamma = tf.sum(tf.mul(dy, normalized), axes);
    const centred = tf.sub(dy, tf.add(tf.div(dbeta, count), tf.mul(normalized, tf.div(dgamma, count))));
    const dr = tf.mul(tf.mul(gamma, inverse), centred);
    const dz = relu ? tf.mul(dr, tf.step(r)) : dr;
    if (scale === undefined) return [dz, dgamma, dbeta];
    const dscale = tf.sum(tf.mul(dz, x), scale.rank === 0 ? undefined : axes);
    return [tf.mul(dz, scale), dgamma, dbeta, tf.reshape(dscale, scale.shape)];
  });
}

/** `BnnBatchNormMoments`: the statistics of a batch alone. */
export function batchNormMoments(
  { x, scale }: Pick<Normalized, 'x' | 'scale'>,
  { relu }: Pick<NormAttributes, 'relu'>,
): [mean: tf.Tensor, variance: tf.Tensor] {
  return tf.tidy(() => {
    const { mean, variance } = tf.moments(rectified(x, scale, relu), leadingAxes(x));
    return [mean, variance];
  });
}

/**
 * `BnnBatchNormGradSums`: dgamma and dbeta of pictures that are a part of a batch, whose statistics are given. With those of the other
 * parts, `BnnBatchNormGradApply` makes dx of them.
 */
export function batchNormGradSums(
  { x, dy, mean, variance, scale }: Omit<Normalized, 'gamma'> & Statistics & { readonly dy: tf.Tensor },
  { epsilon, relu }: NormAttributes,
): [dgamma: tf.Tensor, dbeta: tf.Tensor] {
  return tf.tidy(() => {
    const normalized = tf.mul(tf.sub(rectified(x, scale, relu), mean), tf.rsqrt(tf.add(variance, epsilon)));
    return [tf.sum(tf.mul(dy, normalized), leadingAxes(x)), tf.sum(dy, leadingAxes(x))];
  });
}

/**
 * `BnnBatchNormGradApply`: what `BnnBatchNormGrad` gives for these pictures, where dgamma and dbeta divided by n are those of the whole batch.
 *
 * @returns dscale, of the shape of the scale, exactly where there is one.
 */
export function batchNormGradApply(
  {
    x,
    dy,
    gamma,
    mean,
    variance,
    meanDgamma,
    meanDbeta,
    scale,
  }: Normalized &
    Statistics & { readonly dy: tf.Tensor; readonly meanDgamma: tf.Tensor; readonly meanDbeta: tf.Tensor },
  { epsilon, relu }: NormAttributes,
): [dx: tf.Tensor, dscale?: tf.Tensor] {
  return tf.tidy(() => {
    const r = rectified(x, scale, relu);
    const inverse = tf.rsqrt(tf.add(variance, epsilon));
    const normalized = tf.mul(tf.sub(r, mean), inverse);
    const centred = tf.sub(dy, tf.add(meanDbeta, tf.mul(normalized, meanDgamma)));
    const dr = tf.mul(tf.mul(gamma, inverse), centred);
    const dz = relu ? tf.mul(dr, tf.step(r)) : dr;
    if (scale === undefined) return [dz];
    const dscale = tf.sum(tf.mul(dz, x), scale.rank === 0 ? undefined : leadingAxes(x));
    return [tf.mul(dz, scale), tf.reshape(dscale, scale.shape)];
  });
}

function leadingAxes(x: tf.Tensor): number[] {
  return x.shape.slice(0, -1).map((_, axis) => axis);
}

/** r = relu(scale · x), or less where there is no ReLU or no scale. */
function rectified(x: tf.Tensor, scale: tf.Tensor | undefined, relu: boolean): tf.Tensor {
  const z = scale === undefined ? x : tf.mul(x, scale);
  return relu ? tf.relu(z) : z;
}
