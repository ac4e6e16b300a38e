/** Optimizers over named parameters. Their state is named tensors, so that a checkpoint can hold it. */

import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../core/tensor.ts';
import { BnnError } from '../errors.ts';
import { run } from '../kernels/run.ts';
import { bop } from './bop.ts';
import { download, type ParameterInfo, type ParameterRole, type ParameterStore, upload } from './parameters.ts';

export const OPTIMIZERS = ['sgd', 'adam', 'adamw', 'bop'] as const;
/** `bop` moves binary weights by Bop and everything else by Adam. */
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
  /** Bop's threshold τ. */
  readonly bopThreshold?: number;
}

const ADAM_BETAS = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** Per rule, the tensors kept for a parameter, by the endings of their names. */
const STATE_NAMES = { sgd: ['velocity'], adam: ['m', 'v'], adamw: ['m', 'v'], bop: ['average'] } as const;
type Rule = keyof typeof STATE_NAMES;

/** Numbers that a rule keeps for each of a parameter's. */
export function statesOf(rule: OptimizerName): number {
  return STATE_NAMES[rule].length;
}

function decays(role: ParameterRole, group: DecayGroup): boolean {
  if (group === 'all') return true;
  if (group === 'weights') return role === 'weight' || role === 'binary-weight';
  return role === 'weight';
}

export class Optimizer {
  readonly #options: OptimizerOptions;
  readonly #store: ParameterStore;
  readonly #state = new Map<string, tf.Tensor[]>();
  /** Steps taken. */
  #step = 0;

  constructor(store: ParameterStore, options: OptimizerOptions) {
    this.#store = store;
    this.#options = options;
    for (const info of this.#trainable()) {
      const { shape } = store.parameter(info.name);
      this.#state.set(
        info.name,
        STATE_NAMES[this.#ruleOf(info)].map(() => tf.keep(tf.zeros(shape))),
      );
      // Bop has no latent weights: they are ±1 from the start.
      if (this.#ruleOf(info) === 'bop')
        store.setParameter(info.name, run('BnnSign', { x: store.parameter(info.name) }));
    }
  }

  get step(): number {
    return this.#step;
  }

  /**
   * Takes one step and disposes the gradients.
   *
   * @param gamma  Bop's adaptation rate.
   */
  apply(gradients: ReadonlyMap<string, tf.Tensor>, lr: number, gamma = 1e-4): void {
    this.#step++;
    for (const info of this.#trainable()) {
      const gradient = gradients.get(info.name);
      if (gradient === undefined) throw new Error(`internal: no gradient for "${info.name}"`);
      const [next, ...state] = this.#update(info, gradient, lr, gamma);
      gradient.dispose();
      for (const old of this.#state.get(info.name) ?? []) old.dispose();
      this.#state.set(
        info.name,
        state.map((t) => tf.keep(t)),
      );
      this.#store.setParameter(info.name, this.#clamp(next, info.role));
    }
  }

  /** Counts a step that was taken without `apply`. */
  advance(): void {
    this.#step++;
  }

  tensors(): tf.Tensor[] {
    return [...this.#state.values()].flat();
  }

  /** The state as named tensors in the graph's order: `<parameter>.velocity`, `<parameter>.m` … */
  async save(): Promise<Map<string, Tensor>> {
    const saved = new Map<string, Tensor>();
    for (const info of this.#trainable()) {
      for (const [i, suffix] of STATE_NAMES[this.#ruleOf(info)].entries()) {
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
      const restored = STATE_NAMES[this.#ruleOf(info)].map((suffix) =>
        tf.keep(upload(requireSaved(saved, info, suffix, at), info.layout)),
      );
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
    for (const info of this.#store.parameters.values()) if (info.role !== 'buffer') yield info;
  }

  #ruleOf({ role }: ParameterInfo): Rule {
    const { optimizer } = this.#options;
    return optimizer === 'bop' && role !== 'binary-weight' ? 'adam' : optimizer;
  }

  #update(info: ParameterInfo, gradient: tf.Tensor, lr: number, gamma: number): [tf.Tensor, ...tf.Tensor[]] {
    const { momentum, weightDecayOn, bopThreshold: threshold = 1e-8 } = this.#options;
    const weightDecay = decays(info.role, weightDecayOn) ? this.#options.weightDecay : 0;
    const param = this.#store.parameter(info.name);
    const [first, second] = this.#state.get(info.name) ?? [];
    if (first === undefined) throw new Error(`internal: no optimizer state for "${info.name}"`);
    const rule = this.#ruleOf(info);
    const given = { param, grad: gradient };
    if (rule === 'sgd') return run('BnnSgdMomentum', { ...given, velocity: first }, { lr, momentum, weightDecay });
    if (rule === 'bop') return bop(param, gradient, first, { gamma, threshold });
    if (second === undefined) throw new Error(`internal: no second moment for "${info.name}"`);
    const decoupled = rule === 'adamw';
    const settings = { lr, ...ADAM_BETAS, weightDecay, decoupled, step: this.#step };
    return run('BnnAdam', { ...given, m: first, v: second }, settings);
  }

  #clamp(param: tf.Tensor, role: ParameterRole): tf.Tensor {
    const limit = this.#options.clampWeights;
    if (limit === 0 || role !== 'binary-weight') return param;
    const clamped = tf.clipByValue(param, -limit, limit);
    param.dispose();
    return clamped;
  }
}

/**
 * The saved float32 tensor `<parameter>.<suffix>`.
 *
 * @throws {BnnError} E_FORMAT when it is missing or has another shape than the parameter.
 */
export function requireSaved(
  saved: ReadonlyMap<string, Tensor>,
  { name, shape }: ParameterInfo,
  suffix: string,
  at?: string,
): Tensor {
  const t = saved.get(`${name}.${suffix}`);
  if (t?.dtype === 'float32' && t.shape.join() === shape.join()) return t;
  throw new BnnError('E_FORMAT', `the training state lacks "${name}.${suffix}" of [${shape.join(', ')}]`, { at });
}
