/** Gradients of signs by an estimator: a kernel of its slope where there is one, else its formula. */

import * as tf from '@tensorflow/tfjs-core';
import type { Estimator } from '../../estimators/estimator.ts';
import { type BinaryInputGradInputs, inputGradOf } from '../../kernels/binary-convolution.ts';
import type { ConvAttributes } from '../../kernels/convolution.ts';
import { hasKernel, run } from '../../kernels/run.ts';

/** dy · s(x), where s is the estimator's stand-in for sign′. */
export function signGradient(x: tf.Tensor, dy: tf.Tensor, estimator: Estimator): tf.Tensor {
  const slope = estimator.attributes;
  if (slope === null) return estimator.gradient(x, dy);
  if (slope.estimator === 'table') {
    if (!hasKernel('BnnSignGradTable')) return estimator.gradient(x, dy);
    return withScale(dy, estimator, (dy) => run('BnnSignGradTable', { x, dy }, slope));
  }
  if (!hasKernel('BnnSignGrad')) return estimator.gradient(x, dy);
  return withScale(dy, estimator, (dy) => run('BnnSignGrad', { x, dy }, slope));
}

/** Gradient of `BnnBinaryConv` with respect to x. */
export function binaryConvInputGradient(
  inputs: BinaryInputGradInputs,
  attributes: ConvAttributes,
  estimator: Estimator,
): tf.Tensor {
  const slope = estimator.attributes;
  if (slope === null || !hasKernel('BnnBinaryConvInputGrad')) {
    return inputGradOf(inputs, attributes, (x, dy) => signGradient(x, dy, estimator));
  }
  return withScale(inputs.dy, estimator, (dy) =>
    run('BnnBinaryConvInputGrad', { ...inputs, dy }, { ...attributes, ...slope }),
  );
}

/** Runs a kernel of the estimator's slope on the gradient that it is meant for. */
function withScale(dy: tf.Tensor, { scale = 1 }: Estimator, work: (dy: tf.Tensor) => tf.Tensor): tf.Tensor {
  if (scale === 1) return work(dy);
  const scaled = tf.mul(dy, scale);
  const result = work(scaled);
  scaled.dispose();
  return result;
}
