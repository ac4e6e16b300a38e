/**
 * bnn.Sign and what stands in for its derivative.
 *
 * `BnnSign`: y = +1 where x ≥ 0, else −1 (also for NaN; see `core/numbers/bits.ts`).
 * `BnnSignGrad`, `BnnSignGradTable`: dx = dy · s(x), with a slope s that the attributes tell.
 * `BnnSignGradDsq`: the same for DSQ (`estimators/learned-dsq.ts`), and the gradient of its sharpness.
 */

import * as tf from '@tensorflow/tfjs-core';
import { sechSquaredOf } from './tanh-slope.ts';

/** s = 1 where |x| ≤ clip, else 0; clip may be Infinity. */
export type SteSlope = { readonly estimator: 'ste'; readonly clip: number };

/**
 * ReSTE (arXiv:2308.06689): with a = |x|, p = (1 − o)/o: s = m^p for a ≤ m, a^p / o for m < a ≤ t, 0 beyond; o = 1: s = 1 up to t.
 * t and m are float32, because they are compared with float32.
 */
export type ResteSlope = { readonly estimator: 'reste'; readonly o: number; readonly t: number; readonly m: number };

/** An even s(|x|) over [0, limit] in pieces of equal width, 0 beyond. */
export type TableSlope = {
  readonly estimator: 'table';
  /** Pairs (value at the start of a piece, rise over the piece). */
  readonly pieces: Float32Array;
  readonly limit: number;
};

/** Everything that a kernel knows as a slope. */
export type Slope = SteSlope | ResteSlope | TableSlope;

/** A tensor, and the gradient of a function of it. */
export type GradientInputs = { readonly x: tf.Tensor; readonly dy: tf.Tensor };

export function sign({ x }: { readonly x: tf.Tensor }): tf.Tensor {
  return tf.tidy(() => tf.sub(tf.mul(tf.cast(tf.greaterEqual(x, 0), 'float32'), 2), 1));
}

export function signGrad({ x, dy }: GradientInputs, slope: SteSlope | ResteSlope): tf.Tensor {
  if (slope.estimator === 'ste') return steGradient(x, dy, slope.clip);
  // The float32 m decides which branch is taken; its slope is that of the decimal number that the user gave.
  return resteGradient(x, dy, slope, Number(slope.m.toPrecision(7)));
}

/** @param clip  a float32, or Infinity. */
export function steGradient(x: tf.Tensor, dy: tf.Tensor, clip: number): tf.Tensor {
  if (clip === Infinity) return tf.clone(dy);
  return tf.tidy(() => tf.mul(dy, tf.cast(tf.lessEqual(tf.abs(x), clip), 'float32')));
}

/** @param decimalM  m before it was rounded to float32. */
export function resteGradient(
  x: tf.Tensor,
  dy: tf.Tensor,
  { o, t, m }: Omit<ResteSlope, 'estimator'>,
  decimalM: number,
): tf.Tensor {
  return tf.tidy(() => {
    const a = tf.abs(x);
    const passes = tf.cast(tf.lessEqual(a, t), 'float32');
    if (o === 1) return tf.mul(dy, passes);
    const power = (1 - o) / o;
    // Clamped below m, so that the branch not taken is finite there.
    const curve = tf.mul(tf.pow(tf.maximum(a, m), tf.scalar(power)), 1 / o);
    const slope = tf.where(tf.lessEqual(a, m), tf.fill(a.shape, decimalM ** power), curve);
    return tf.mul(dy, tf.mul(slope, passes));
  });
}

export function signGradTable({ x, dy }: GradientInputs, { pieces, limit }: TableSlope): tf.Tensor {
  return tf.tidy(() => {
    const cells = pieces.length / 2;
    const a = tf.abs(x);
    const position = tf.mul(tf.minimum(a, limit), cells / limit);
    const piece = tf.minimum(tf.floor(position), cells - 1);
    const [values, rises] = tf.unstack(tf.tensor2d(pieces, [cells, 2]), 1) as [tf.Tensor, tf.Tensor];
    const at = tf.cast(piece, 'int32');
    const line = tf.add(tf.gather(values, at), tf.mul(tf.gather(rises, at), tf.sub(position, piece)));
    return tf.mul(dy, tf.mul(line, tf.cast(tf.lessEqual(a, limit), 'float32')));
  });
}

/** dx, and Σ dy·∂f/∂α as a scalar. */
export function signGradDsq(
  { x, dy }: GradientInputs,
  { alpha }: { readonly alpha: number },
): [dx: tf.Tensor, dalpha: tf.Tensor] {
  return tf.tidy(() => {
    const k = Math.log(2 / alpha - 1) / 2;
    const slopeOfK = -1 / (alpha * (2 - alpha));
    const scale = 1 / (1 - alpha);
    const passed = tf.mul(dy, tf.cast(tf.lessEqual(tf.abs(x), 1), 'float32'));
    const u = tf.mul(x, k);
    const sech = sechSquaredOf(u);
    const rise = tf.add(tf.mul(tf.tanh(u), scale * scale), tf.mul(tf.mul(x, sech), scale * slopeOfK));
    return [tf.mul(passed, tf.mul(sech, scale * k)), tf.sum(tf.mul(passed, rise))];
  });
}
