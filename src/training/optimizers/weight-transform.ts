/**
 * Transforms that stand between the latent weights, which the optimizer moves, and the weights that the network binarizes.
 *
 * They are part of the training, not of the network: the graph's weight is the transformed one, so a checkpoint's model holds
 * exactly what was binarized, and the latent weights lie beside it in the training state.
 *
 * - `standardize`  u = (w − mean) / std per filter, std unbiased (IR-Net, arXiv:1909.10788)
 * - `recu`         u = clip(2√2·(w − mean)/√(var + 1e-5), ±Q), Q = −mean|u₀|·ln(2 − 2τ) over the layer, u₀ the value before the clip;
 *                  τ rises from 0.85 to 0.99 (ReCU, ICCV 2021, arXiv:2103.12369). The paper's weight estimator is `ste-identity`.
 * - `biper`        u = sin(ω·w) (BiPer, CVPR 2024, arXiv:2404.01278): sign(u) is a square wave of the latent weight; with
 *                  `ste-identity` the gradient is ω·cos(ω·w), and that of τ·mean(u²) of each layer, which the authors' code adds to the
 *                  loss, where τ is not 0. The paper trains on u itself first.
 * - `adaste`       u = w* of AdaSTE (`estimators/adaste.ts`), which the paper trains on throughout; the estimator is `ste-identity`.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Fields, number, type ValuesOf } from '../../core/field.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { adasteGradient, adasteMapOf, adasteMu } from '../../estimators/adaste.ts';
import { centredLatent, type LatentStart, sineLatent } from '../start/latent-start.ts';

/** The caller owns every tensor that is returned. */
export interface WeightTransform {
  /** @param outputAxis the dimension of w that counts filters. */
  forward(w: tf.Tensor, outputAxis: number): tf.Tensor;
  /** The gradient with respect to w, of the gradient `du` with respect to the transformed weight. */
  backward(w: tf.Tensor, du: tf.Tensor, outputAxis: number): tf.Tensor;
}

export interface WeightTransformRow<N extends string = string, F extends Fields = Fields> {
  readonly name: N;
  /** Of the recipe. */
  readonly fields: F;
  /** @param epoch 0 … epochs − 1. */
  create(epoch: number, epochs: number, values: ValuesOf<F>): WeightTransform;
  /** Where a run starts whose network comes from a file; at its weights unless told. */
  latentFor?(weights: Tensor<'float32'>, outputAxis: number, values: ValuesOf<F>): LatentStart;
}

const row = <const N extends string, const F extends Fields>(it: WeightTransformRow<N, F>) => it;

const RECU_SCALE = 2 * Math.SQRT2;
const RECU_EPSILON = 1e-5;
const BIPER_FREQUENCY = 20;

/** In the order of the help. */
export const WEIGHT_TRANSFORMS = [
  row({ name: 'standardize', fields: {}, create: createStandardize, latentFor: centredLatent }),
  row({
    name: 'recu',
    fields: {},
    create: (epoch, epochs) => createRecu(recuTau(epoch, epochs)),
    latentFor: centredLatent,
  }),
  row({
    name: 'biper',
    fields: {
      biperFrequency: number(BIPER_FREQUENCY, 1e-3, 1e6, 'biper: ω in u = sin(ω·w)'),
      biperTau: number(0, 0, 1e6, 'biper: adds this times the mean of u² of each layer to what is minimized'),
    },
    create: (_, __, { biperFrequency, biperTau }) => createBiper(biperFrequency, biperTau),
    latentFor: (weights, _, { biperFrequency }) => sineLatent(weights, biperFrequency),
  }),
  row({
    name: 'adaste',
    fields: {},
    create: (epoch, epochs) => {
      const mu = adasteMu(epoch, epochs);
      return { forward: (w) => adasteMapOf(w, mu), backward: (w, du) => adasteGradient(w, du, mu) };
    },
  }),
] as const;

/** τ(epoch) = A·e^(epoch/epochs) + B with A = (0.99 − 0.85)/(e − 1) and B = 0.85 − A. */
export function recuTau(epoch: number, epochs: number): number {
  const a = (0.99 - 0.85) / (Math.E - 1);
  return a * Math.exp(epoch / epochs) + (0.85 - a);
}

interface Standardized {
  /** (w − mean) / deviation. */
  readonly unit: tf.Tensor;
  /** √(unbiased variance + epsilon) per filter. */
  readonly deviation: tf.Tensor;
}

function filterAxes(w: tf.Tensor, outputAxis: number): number[] {
  return w.shape.flatMap((_, axis) => (axis === outputAxis ? [] : [axis]));
}

function standardize(w: tf.Tensor, outputAxis: number, epsilon: number): Standardized {
  const axes = filterAxes(w, outputAxis);
  const centred = tf.sub(w, tf.mean(w, axes, true));
  const degrees = w.size / (w.shape[outputAxis] ?? 1) - 1;
  const variance = tf.div(tf.sum(tf.square(centred), axes, true), degrees);
  const deviation = tf.sqrt(tf.add(variance, epsilon));
  return { unit: tf.div(centred, deviation), deviation };
}

/** du through `standardize`: (du − mean(du) − unit·Σ(du·unit)/(n − 1)) / deviation, per filter of n weights. */
function standardizeGradient(
  { unit, deviation }: Standardized,
  du: tf.Tensor,
  w: tf.Tensor,
  outputAxis: number,
): tf.Tensor {
  const axes = filterAxes(w, outputAxis);
  const degrees = w.size / (w.shape[outputAxis] ?? 1) - 1;
  const along = tf.div(tf.sum(tf.mul(du, unit), axes, true), degrees);
  return tf.div(tf.sub(tf.sub(du, tf.mean(du, axes, true)), tf.mul(unit, along)), deviation);
}

function createStandardize(): WeightTransform {
  // A filter of equal weights would divide 0 by 0.
  const epsilon = 1e-12;
  return {
    forward: (w, axis) => tf.tidy(() => standardize(w, axis, epsilon).unit),
    backward: (w, du, axis) => tf.tidy(() => standardizeGradient(standardize(w, axis, epsilon), du, w, axis)),
  };
}

/** @param tau in (0.5, 1): the quantile of a Laplace distribution at which weights are clipped. */
export function createRecu(tau: number): WeightTransform {
  const factor = -Math.log(2 - 2 * tau);
  const limitOf = (unclipped: tf.Tensor): tf.Tensor => tf.mul(tf.mean(tf.abs(unclipped)), factor);
  return {
    forward: (w, axis) =>
      tf.tidy(() => {
        const unclipped = tf.mul(standardize(w, axis, RECU_EPSILON).unit, RECU_SCALE);
        const limit = limitOf(unclipped);
        return tf.minimum(tf.maximum(unclipped, tf.neg(limit)), limit);
      }),
    // The limit is a constant of the step, as in the official code.
    backward: (w, du, axis) =>
      tf.tidy(() => {
        const standardized = standardize(w, axis, RECU_EPSILON);
        const unclipped = tf.mul(standardized.unit, RECU_SCALE);
        const inside = tf.cast(tf.lessEqual(tf.abs(unclipped), limitOf(unclipped)), 'float32');
        return standardizeGradient(standardized, tf.mul(tf.mul(du, inside), RECU_SCALE), w, axis);
      }),
  };
}

/**
 * @param frequency  ω in u = sin(ω·w).
 * @param tau        factor of mean(u²), whose derivative is ω·sin(2ω·w)/n for n weights.
 */
export function createBiper(frequency = BIPER_FREQUENCY, tau = 0): WeightTransform {
  return {
    forward: (w) => tf.tidy(() => tf.sin(tf.mul(w, frequency))),
    backward: (w, du) =>
      tf.tidy(() => {
        const phase = tf.mul(w, frequency);
        const dw = tf.mul(du, tf.mul(tf.cos(phase), frequency));
        return tau === 0 ? dw : tf.add(dw, tf.mul(tf.sin(tf.mul(phase, 2)), (tau * frequency) / w.size));
      }),
  };
}
