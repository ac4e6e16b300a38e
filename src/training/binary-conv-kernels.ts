/** Convolution of the signs of a tensor, in the style of `kernels.ts`: one kernel, or plain tfjs operations. */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator } from '../estimators/estimator.ts';
import { hasKernel, runKernel, sign, signGradient, withScale } from './kernels.ts';
import { padBefore, unpadGradient, type Window } from './steps/window.ts';

export interface BinaryConvOptions {
  /** Of Conv2D. */
  readonly attributes: object;
  readonly window: Window;
  /** Whether the filter is known to consist of ±1. */
  readonly filterIsSigns: boolean;
}

/** Conv2D(sign(x), filter). */
export function binaryConv(
  x: tf.Tensor,
  filter: tf.Tensor,
  { attributes, window, filterIsSigns }: BinaryConvOptions,
): tf.Tensor {
  if (hasKernel('BnnBinaryConv')) return runKernel('BnnBinaryConv', { x, filter }, { ...attributes, filterIsSigns });
  const signs = paddedSigns(x, window);
  const y = runKernel('Conv2D', { x: signs, filter }, attributes);
  signs.dispose();
  return y;
}

export interface BinaryConvGradient {
  readonly estimator: Estimator;
  readonly attributes: object;
  readonly window: Window;
  /** Added to the gradient; stays the caller's. */
  readonly sum: tf.Tensor | undefined;
}

/** Gradient of `binaryConv` with respect to x: s(x) · Conv2DBackpropInput(dy, filter) + sum, s from the estimator. */
export function binaryConvInputGradient(
  x: tf.Tensor,
  filter: tf.Tensor,
  dy: tf.Tensor,
  { estimator, attributes, window, sum }: BinaryConvGradient,
): tf.Tensor {
  const slope = estimator.attributes;
  if (slope !== null && hasKernel('BnnBinaryConvInputGrad')) {
    return withScale(dy, estimator, (dy) => {
      const inputs = sum === undefined ? { dy, filter, x } : { dy, filter, x, sum };
      return runKernel('BnnBinaryConvInputGrad', inputs, { ...attributes, ...slope });
    });
  }
  const inputShape = paddedShape(x.shape, window);
  const dpadded = runKernel('Conv2DBackpropInput', { dy, filter }, { ...attributes, inputShape });
  const dsigns = unpadGradient(dpadded, window, x.shape);
  const dx = signGradient(x, dsigns, estimator);
  dsigns.dispose();
  if (sum === undefined) return dx;
  const total = tf.add(sum, dx);
  dx.dispose();
  return total;
}

/** Gradient of `binaryConv` with respect to the filter; `attributes` has its shape as `filterShape`. */
export function binaryConvFilterGradient(x: tf.Tensor, dy: tf.Tensor, attributes: object, window: Window): tf.Tensor {
  if (hasKernel('BnnBinaryConvFilterGrad')) return runKernel('BnnBinaryConvFilterGrad', { x, dy }, attributes);
  const signs = paddedSigns(x, window);
  const dfilter = runKernel('Conv2DBackpropFilter', { x: signs, dy }, attributes);
  signs.dispose();
  return dfilter;
}

function paddedSigns(x: tf.Tensor, window: Window): tf.Tensor {
  const signs = sign(x);
  const padded = padBefore(signs, window);
  signs.dispose();
  return padded;
}

function paddedShape(shape: readonly number[], { before }: Window): number[] {
  return shape.map((size, axis) => size + (before?.[axis]?.[0] ?? 0) + (before?.[axis]?.[1] ?? 0));
}
