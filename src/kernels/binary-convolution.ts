/**
 * Convolution of sign(x), +1 at 0 (see `core/numbers/bits.ts`), without groups and dilations; padding is 0.
 *
 * `BnnBinaryConv` {x, filter} → Conv2D(sign(x), filter).
 * `BnnBinaryConvInputGrad` {dy, filter, x, sum?} → s(x) · Conv2DBackpropInput(dy, filter) + sum.
 * `BnnBinaryConvFilterGrad` {x, dy} → Conv2DBackpropFilter(sign(x), dy).
 */

import * as tf from '@tensorflow/tfjs-core';
import { type ConvAttributes, type FilterShape, plainConv } from './convolution.ts';
import { type ExplicitPadding, padBefore, paddedShape, unpadGradient } from './padding.ts';
import { type Slope, sign, signGrad, signGradTable } from './sign.ts';
import { runTfjsKernel } from './tfjs-kernel.ts';

export type BinaryConvAttributes = ConvAttributes & {
  /** Whether the filter is known to consist of ±1. */
  readonly filterIsSigns: boolean;
  /** That only a batch normalization reads the result: for kernels that have a shorter form of it. */
  readonly isNormalized?: boolean;
};

export function binaryConv(
  { x, filter }: { readonly x: tf.Tensor; readonly filter: tf.Tensor },
  given: BinaryConvAttributes,
): tf.Tensor {
  const { before, attributes } = plainConv(given);
  const signs = paddedSigns(x, before);
  const y = runTfjsKernel('Conv2D', { x: signs, filter }, attributes);
  signs.dispose();
  return y;
}

export type BinaryInputGradInputs = {
  readonly dy: tf.Tensor;
  readonly filter: tf.Tensor;
  readonly x: tf.Tensor;
  /** Added to the gradient. */
  readonly sum?: tf.Tensor | undefined;
};

export function binaryConvInputGrad(inputs: BinaryInputGradInputs, attributes: ConvAttributes & Slope): tf.Tensor {
  return inputGradOf(inputs, attributes, (x, dy) =>
    attributes.estimator === 'table' ? signGradTable({ x, dy }, attributes) : signGrad({ x, dy }, attributes),
  );
}

/** The same for a slope of any kind. @param gradient  s(x) · dy; the caller's. */
export function inputGradOf(
  { dy, filter, x, sum }: BinaryInputGradInputs,
  given: ConvAttributes,
  gradient: (x: tf.Tensor, dy: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const { before, attributes } = plainConv(given);
  const inputShape = paddedShape(x.shape, before);
  const dpadded = runTfjsKernel('Conv2DBackpropInput', { dy, filter }, { ...attributes, inputShape });
  const dsigns = unpadGradient(dpadded, before, x.shape);
  const dx = gradient(x, dsigns);
  dsigns.dispose();
  if (sum === undefined) return dx;
  const total = tf.add(sum, dx);
  dx.dispose();
  return total;
}

export function binaryConvFilterGrad(
  { x, dy }: { readonly x: tf.Tensor; readonly dy: tf.Tensor },
  { filterShape, ...given }: ConvAttributes & FilterShape,
): tf.Tensor {
  const { before, attributes } = plainConv(given);
  const signs = paddedSigns(x, before);
  const dfilter = runTfjsKernel('Conv2DBackpropFilter', { x: signs, dy }, { ...attributes, filterShape });
  signs.dispose();
  return dfilter;
}

function paddedSigns(x: tf.Tensor, before: ExplicitPadding | null): tf.Tensor {
  const signs = sign({ x });
  const padded = padBefore(signs, before);
  signs.dispose();
  return padded;
}
