/** The mean of |x|: the scale of a binary layer. */

import * as tf from '@tensorflow/tfjs-core';

/** `BnnMeanMagnitude`: the mean of |x| over all elements, a scalar. */
export function meanMagnitude({ x }: { readonly x: tf.Tensor }): tf.Tensor {
  return tf.tidy(() => tf.mean(tf.abs(x)));
}

/** `BnnMeanMagnitudeGrad`: sign(x) · dy / n + sum, with sign(0) = 0; dy is one number. */
export function meanMagnitudeGrad({
  x,
  dy,
  sum,
}: {
  readonly x: tf.Tensor;
  readonly dy: tf.Tensor;
  readonly sum?: tf.Tensor | undefined;
}): tf.Tensor {
  return tf.tidy(() => {
    const dx = tf.mul(tf.sign(x), tf.reshape(tf.div(dy, x.size), []));
    return sum === undefined ? dx : tf.add(sum, dx);
  });
}
