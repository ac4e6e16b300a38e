/** Optimizers over a program's parameters. Their state is named tensors, so that a checkpoint can hold it. */

import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../core/tensor.ts';
import { BnnError } from '../errors.ts';
import { adam, sgdMomentum } from './kernels.ts';
import { download, type ParameterInfo, type ParameterRole, upload } from './parameters.ts';
import type { Program } from './program.ts';

export const OPTIMIZERS = ['sgd', 'adam', 'adamw'] as const;
export type OptimizerName = (typeof OPTIMIZERS)[number];

export const DECAY_GROUPS = ['all', 'weights', 'float-weights'] as const;
/** Which parameters decay: all, as in the official ReSTE code; all weights but no bias or norm; only weights that stay float. */
export type DecayGroup = (typeof DECAY_GROUPS)[number];

export interface OptimizerOptions {
  readonly optimizer: OptimizerName;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly weightDecayOn: DecayGroup;
  /** Latent binary weights are clamped to [−c, c] after each step; 0 for never. */
  readonly clampWeights: number;
}

const ADAM_BETAS = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

function decays(role: ParameterRole, group: DecayGroup): boolean {
  if (group === 'all') return true;
  if (group === 'weights') return role === 'weight' || role === 'binary-weight';
  return role === 'weight';
}

export class Optimizer {
  readonly #options: OptimizerOptions;
  readonly #program: Program;
  /** Per parameter: [velocity] for SGD, [m, v] for Adam. */
  readonly #state = new Map<string, tf.Tensor[]>();
  /** Steps taken. */
  #step = 0;

  constructor(program: Program, options: OptimizerOptions) {
    this.#program = program;
    this.#options = options;
    for (const info of this.#trainable()) {
      const { shape } = program.parameter(info.name);
      this.#state.set(
        info.name,
        this.#stateNames().map(() => tf.keep(tf.zeros(shape))),
      );
    }
  }

  get step(): number {
    return this.#step;
  }

  /** Takes one step and disposes the gradients. */
  apply(gradients: ReadonlyMap<string, tf.Tensor>, lr: number): void {
    this.#step++;
    for (const info of this.#trainable()) {
      const gradient = gradients.get(info.name);
      if (gradient === undefined) throw new Error(`internal: no gradient for "${info.name}"`);
      const [next, ...state] = this.#update(info, gradient, lr);
      gradient.dispose();
      for (const old of this.#state.get(info.name) ?? []) old.dispose();
      this.#state.set(
        info.name,
        state.map((t) => tf.keep(t)),
      );
      this.#program.setParameter(info.name, this.#clamp(next, info.role));
    }
  }

  /** The state as named tensors in the graph's order: `<parameter>.velocity`, or `<parameter>.m` and `.v`. */
  async save(): Promise<Map<string, Tensor>> {
    const saved = new Map<string, Tensor>();
    for (const info of this.#trainable()) {
      for (const [i, suffix] of this.#stateNames().entries()) {
        const t = this.#state.get(info.name)?.[i];
        if (t !== undefined) saved.set(`${info.name}.${suffix}`, await download(t, info));
      }
    }
    return saved;
  }

  /**
   * Restores what `save` returned.
   *
   * @throws {BnnError} E_FORMAT when a tensor is missing or has another shape.
   */
  restore(saved: ReadonlyMap<string, Tensor>, step: number, at?: string): void {
    for (const info of this.#trainable()) {
      const restored = this.#stateNames().map((suffix) => {
        const t = saved.get(`${info.name}.${suffix}`);
        if (t === undefined || t.dtype !== 'float32' || t.shape.join() !== info.shape.join()) {
          throw new BnnError(
            'E_FORMAT',
            `the optimizer state lacks "${info.name}.${suffix}" of [${info.shape.join(', ')}]`,
            {
              at,
            },
          );
        }
        return tf.keep(upload(t, info.layout));
      });
      for (const old of this.#state.get(info.name) ?? []) old.dispose();
      this.#state.set(info.name, restored);
    }
    this.#step = step;
  }

  dispose(): void {
    for (const tensors of this.#state.values()) for (const t of tensors) t.dispose();
    this.#state.clear();
  }

  *#trainable(): Generator<ParameterInfo> {
    for (const info of this.#program.parameters.values()) if (info.role !== 'buffer') yield info;
  }

  #stateNames(): readonly string[] {
    return this.#options.optimizer === 'sgd' ? ['velocity'] : ['m', 'v'];
  }

  #update(info: ParameterInfo, gradient: tf.Tensor, lr: number): [tf.Tensor, ...tf.Tensor[]] {
    const { optimizer, momentum, weightDecayOn } = this.#options;
    const weightDecay = decays(info.role, weightDecayOn) ? this.#options.weightDecay : 0;
    const param = this.#program.parameter(info.name);
    const [first, second] = this.#state.get(info.name) ?? [];
    if (first === undefined) throw new Error(`internal: no optimizer state for "${info.name}"`);
    if (optimizer === 'sgd') return sgdMomentum(param, gradient, first, { lr, momentum, weightDecay });
    if (second === undefined) throw new Error(`internal: no second moment for "${info.name}"`);
    const decoupled = optimizer === 'adamw';
    return adam(param, gradient, first, second, { lr, ...ADAM_BETAS, weightDecay, decoupled, step: this.#step });
  }

  #clamp(param: tf.Tensor, role: ParameterRole): tf.Tensor {
    const limit = this.#options.clampWeights;
    if (limit === 0 || role !== 'binary-weight') return param;
    const clamped = tf.clipByValue(param, -limit, limit);
    param.dispose();
    return clamped;
  }
}
