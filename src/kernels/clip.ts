/** The gradient of a clip. */

import * as tf from '@tensorflow/tfjs-core';

/** An infinite limit is none. */
export type ClipLimits = { readonly low: number; readonly high: number };

/** `BnnClipGrad`: dy where low < y < high, 0 elsewhere; y is what the clip returned. As for ReLU, the limits have no gradient. */
export function clipGrad(
  { y, dy }: { readonly y: tf.Tensor; readonly dy: tf.Tensor },
  { low, high }: ClipLimits,
): tf.Tensor {
  return tf.tidy(() => tf.mul(dy, inside(y, low, high)));
}

/** 1 where low < y < high, 0 elsewhere. */
export function inside(y: tf.Tensor, low: number, high: number): tf.Tensor {
  const above = low === -Infinity ? tf.onesLike(y) : tf.step(low === 0 ? y : tf.sub(y, low));
  return high === Infinity ? above : tf.mul(above, tf.step(tf.sub(high, y)));
}
