/** What an estimator is: the stand-in for the derivative of sign during training. */

import type * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../core/tensors/tensor.ts';
import type { Slope } from '../kernels/sign.ts';

/** What a sign is of. */
export type SignRole = 'weight' | 'activation';

/**
 * At one moment of training. The forward pass is always sign(z) (`core/numbers/bits.ts`); the backward pass multiplies the incoming
 * gradient by `factor(z)`.
 */
export interface Estimator {
  readonly name: string;
  /**
   * For backends that have the kernel `BnnSignGrad`, or `BnnSignGradTable` where the estimator is `table`; null where neither knows
   * this estimator.
   */
  readonly attributes: Slope | null;
  /** What kernels of `attributes` are given the incoming gradient times; 1 unless told. `factor` and `gradient` contain it. */
  readonly scale?: number;
  /** The function whose derivative replaces sign′, in float64. */
  surrogate(z: number): number;
  /**
   * s(z), in float64. Thresholds are compared as float32, like the kernels do.
   *
   * @param dy the incoming gradient, for the estimators that look at it.
   */
  factor(z: number, dy?: number): number;
  /** Where every layer has its own: that of a layer, called by its weights without the ending `.weight`. */
  forLayer?(layer: string): Estimator;
  /** dy · s(x) by the formula, as plain tfjs operations: for every backend without a kernel of `attributes`. */
  gradient(x: tf.Tensor, dy: tf.Tensor): tf.Tensor;
}

/** An estimator whose shape may change from epoch to epoch. */
export interface EstimatorSchedule {
  readonly name: string;
  /** @param epoch 0 … epochs − 1; the estimator is fixed during an epoch. */
  at(epoch: number, epochs: number): Estimator;
  /** ReSTE's power parameter of an epoch, which a history records. */
  o?(epoch: number, epochs: number): number;
  /** What it learns beside the network's parameters. */
  readonly learned?: LearnedState;
}

/** Numbers that an estimator trains by gradients of its own. */
export interface LearnedState {
  /**
   * Moves them by the gradients since the last call.
   *
   * @param step   counts from 1.
   * @param sumUp  adds up their gradients of several processes, in place.
   */
  apply(lr: number, step: number, sumUp?: (gradients: Float64Array) => void): Promise<void>;
  /** Gradients since the last call of `apply` were not of a step. */
  forgetGradients(): void;
  /** By names that no other estimator uses. */
  save(): Map<string, Tensor>;
  /** Takes what `save` returned from all that a checkpoint holds; what is not in it begins anew. */
  restore(saved: ReadonlyMap<string, Tensor>): void;
  dispose(): void;
}
