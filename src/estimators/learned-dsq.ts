/**
 * DSQ with a sharpness that every layer learns.
 *
 * Surrogate  f(z; α) = tanh(k·z)/(1 − α) for |z| ≤ 1, sign(z) outside; k = ln(2/α − 1)/2, as in `dsq.ts`
 * Gradient   of z: s(z) of `dsq.ts`. Of α: Σ dy·∂f/∂α over the layer, as if f had stood for sign in the forward pass,
 *            ∂f/∂α = tanh(k·z)/(1 − α)² + z·sech²(k·z)·k′/(1 − α), k′ = −1/(α·(2 − α)), for |z| ≤ 1, else 0
 * Schedule   none: after each step of the optimizer, α takes one of Adam, and stays in [0.001, 0.5]
 * Paper      Gong et al., "Differentiable Soft Quantization", ICCV 2019, arXiv:1908.05033, which learns α with the weights. That it
 *            moves by Adam is ours: the size of a sum over all pixels of a layer does not matter to Adam.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Tensor, tensor } from '../core/tensors/tensor.ts';
import { run } from '../kernels/run.ts';
import { createDsq } from './dsq.ts';
import type { Estimator, EstimatorSchedule, LearnedState, SignRole } from './estimator.ts';

const ALPHA_MIN = 1e-3;
const ALPHA_MAX = 0.5;
/** A learning rate that is meant for weights would carry α across its range in a few steps. */
const LARGEST_RATE = 1e-3;
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/** Numbers are float32 throughout, so that a resumed run has exactly the same. */
interface Layer {
  alpha: number;
  /** Adam's averages. */
  m: number;
  v: number;
  estimator: Estimator;
  /** Sum of the gradients of α since the last step; a scalar. */
  gradient: tf.Tensor | undefined;
}

/** The estimators of all weights or of all activations, and what they have learned. */
export class LearnedDsq implements LearnedState {
  readonly schedule: EstimatorSchedule;
  readonly #prefix: string;
  readonly #start: number;
  readonly #layers = new Map<string, Layer>();

  /**
   * @param role   tells the layers' weights from their activations in the training state.
   * @param alpha  at the start.
   */
  constructor(role: SignRole, alpha: number) {
    this.#prefix = `dsq.${role}.`;
    this.#start = Math.fround(Math.min(ALPHA_MAX, Math.max(ALPHA_MIN, alpha)));
    const shared: Estimator = {
      ...fixedParts(this.#start),
      gradient: () => {
        throw new Error('internal: a learned estimator belongs to a layer');
      },
      forLayer: (layer) => this.#layer(layer).estimator,
    };
    this.schedule = { name: 'dsq-learned', at: () => shared, learned: this };
  }

  /**
   * Moves every α by the gradients since the last call.
   *
   * @param step   counts from 1.
   * @param sumUp  adds up gradients of several processes, in place.
   */
  async apply(lr: number, step: number, sumUp?: (gradients: Float64Array) => void): Promise<void> {
    const moving = [...this.#layers.values()].filter(({ gradient }) => gradient !== undefined);
    const gradients = new Float64Array(moving.length);
    for (const [i, { gradient }] of moving.entries()) gradients[i] = (await gradient?.data())?.[0] ?? Number.NaN;
    this.forgetGradients();
    sumUp?.(gradients);
    for (const [i, layer] of moving.entries()) {
      const g = gradients[i] ?? Number.NaN;
      layer.m = Math.fround(ADAM.beta1 * layer.m + (1 - ADAM.beta1) * g);
      layer.v = Math.fround(ADAM.beta2 * layer.v + (1 - ADAM.beta2) * g * g);
      const m = layer.m / (1 - ADAM.beta1 ** step);
      const v = layer.v / (1 - ADAM.beta2 ** step);
      const moved = layer.alpha - (Math.min(lr, LARGEST_RATE) * m) / (Math.sqrt(v) + ADAM.epsilon);
      this.#setAlpha(layer, Math.min(ALPHA_MAX, Math.max(ALPHA_MIN, moved)));
    }
  }

  /** Gradients since the last call of `apply` were not of a step. */
  forgetGradients(): void {
    for (const layer of this.#layers.values()) {
      layer.gradient?.dispose();
      layer.gradient = undefined;
    }
  }

  /** `dsq.<role>.<layer>`: α and Adam's averages. */
  save(): Map<string, Tensor> {
    return new Map(
      [...this.#layers].map(([name, { alpha, m, v }]) => [
        this.#prefix + name,
        tensor('float32', [3], Float32Array.of(alpha, m, v)),
      ]),
    );
  }

  /** Restores what `save` returned; layers that are not in it begin anew. */
  restore(saved: ReadonlyMap<string, Tensor>): void {
    for (const [name, { data }] of saved) {
      if (!name.startsWith(this.#prefix)) continue;
      const [alpha = this.#start, m = 0, v = 0] = Array.from(data as Float32Array);
      const layer = this.#layer(name.slice(this.#prefix.length));
      Object.assign(layer, { m, v });
      this.#setAlpha(layer, alpha);
    }
  }

  dispose(): void {
    this.forgetGradients();
    this.#layers.clear();
  }

  #layer(name: string): Layer {
    let layer = this.#layers.get(name);
    if (layer === undefined) {
      layer = { alpha: this.#start, m: 0, v: 0, estimator: createDsq(this.#start), gradient: undefined };
      this.#setAlpha(layer, this.#start);
      this.#layers.set(name, layer);
    }
    return layer;
  }

  #setAlpha(layer: Layer, alpha: number): void {
    layer.alpha = Math.fround(alpha);
    layer.estimator = { ...fixedParts(layer.alpha), gradient: (x, dy) => gradientOf(layer, x, dy) };
  }
}

/** What does not depend on where the estimator stands. The kernels of attributes know no gradient of α, so there are none. */
function fixedParts(alpha: number): Pick<Estimator, 'name' | 'attributes' | 'surrogate' | 'factor'> {
  const { surrogate, factor } = createDsq(alpha);
  return { name: 'dsq-learned', attributes: null, surrogate, factor };
}

/** dy · s(x); adds Σ dy·∂f/∂α to the layer's. */
function gradientOf(layer: Layer, x: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const [dx, sum] = run('BnnSignGradDsq', { x, dy }, { alpha: layer.alpha });
    const before = layer.gradient;
    layer.gradient = tf.keep(before === undefined ? sum : tf.add(before, sum));
    before?.dispose();
    return dx;
  });
}
