/** Zero padding for kernels of tfjs that take it, and for those that know only VALID and SAME. */

import * as tf from '@tensorflow/tfjs-core';

export type Pair = [number, number];
/** [before, after] of N, H, W and C. */
export type ExplicitPadding = [Pair, Pair, Pair, Pair];

/** x with `padding` around it, or another reference to x; the caller's. */
export function padBefore(x: tf.Tensor, padding: ExplicitPadding | null, value = 0): tf.Tensor {
  return padding === null ? tf.clone(x) : tf.pad(x, padding, value);
}

/** The inverse of `padBefore` for gradients: cuts the padding off; disposes its argument. */
export function unpadGradient(dx: tf.Tensor, padding: ExplicitPadding | null, shape: readonly number[]): tf.Tensor {
  if (padding === null) return dx;
  const cut = tf.slice(
    dx,
    padding.map(([begin]) => begin),
    [...shape],
  );
  dx.dispose();
  return cut;
}

/** The shape of `padBefore`'s result. */
export function paddedShape(shape: readonly number[], padding: ExplicitPadding | null): number[] {
  return shape.map((size, axis) => size + (padding?.[axis]?.[0] ?? 0) + (padding?.[axis]?.[1] ?? 0));
}
