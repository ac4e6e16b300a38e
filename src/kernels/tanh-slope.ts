/** sech², the derivative of tanh, without cancellation for large arguments: 4e / (1 + e)² with e = exp(−2|u|). */

import * as tf from '@tensorflow/tfjs-core';

export function sechSquared(u: number): number {
  const e = Math.exp(-2 * Math.abs(u));
  return (4 * e) / (1 + e) ** 2;
}

/** The same for a tensor; the caller owns the result. */
export function sechSquaredOf(u: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const e = tf.exp(tf.mul(tf.abs(u), -2));
    return tf.div(tf.mul(e, 4), tf.square(tf.add(e, 1)));
  });
}
