/** Optimizers over named parameters. Their state is named tensors, so that a checkpoint can hold it. */

import * as tf from '@tensorflow/tfjs-core';
import { type Fields, number, type ValuesOf } from '../../core/field.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { enterScope } from '../../kernels/layer-scope.ts';
import { run } from '../../kernels/run.ts';
import {
  download,
  type ParameterInfo,
  type ParameterRole,
  type ParameterStore,
  upload,
} from '../program/parameters.ts';
import { bop, bopGamma } from './bop.ts';
import { muon } from './muon.ts';

/** One parameter at one step. */
export interface OptimizerStep {
  readonly param: tf.Tensor;
  readonly gradient: tf.Tensor;
  /** What was returned behind the parameter in the step before; zeros at first. */
  readonly state: readonly tf.Tensor[];
  readonly role: ParameterRole;
  readonly lr: number;
  /** 0 for a parameter that does not decay. */
  readonly weightDecay: number;
  /** Counts from 1. */
  readonly step: number;
  /** 0 … epochs − 1. */
  readonly epoch: number;
  readonly epochs: number;
}

export interface OptimizerRow<N extends string = string, F extends Fields = Fields> {
  readonly name: N;
  /** Of the recipe. */
  readonly fields: F;
  /** Endings of the names of the tensors that are kept for each parameter, of its shape. */
  readonly states: readonly string[];
  /** The parameters that it moves, all unless told; Adam moves the others. */
  readonly roles?: readonly ParameterRole[];
  /** Its parameters are ±1 from the start. */
  readonly isBinary?: true;
  /** Takes lr and step from where its kernels are run, so that a recorded step can be run again with others. */
  readonly isRecordable?: true;
  /** The new parameter, and its new state; all are the caller's, what is given stays whose it was. */
  update(at: OptimizerStep, values: ValuesOf<F>): [tf.Tensor, ...tf.Tensor[]];
}

const row = <const N extends string, const F extends Fields>(it: OptimizerRow<N, F>) => it;

const ADAM_BETAS = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const ADAM = { fields: {}, states: ['m', 'v'], isRecordable: true } as const;

const adamUpdate =
  (decoupled: boolean) =>
  ({ param, gradient: grad, state, lr, weightDecay, step }: OptimizerStep): [tf.Tensor, ...tf.Tensor[]] => {
    const [m, v] = state as [tf.Tensor, tf.Tensor];
    return run('BnnAdam', { param, grad, m, v }, { lr, ...ADAM_BETAS, weightDecay, decoupled, step });
  };

const adam = row({ name: 'adam', ...ADAM, update: adamUpdate(false) });

/** In the order of the help. */
export const OPTIMIZERS = [
  row({
    name: 'sgd',
    fields: { momentum: number(0.9, 0, 1, 'sgd: momentum') },
    states: ['velocity'],
    isRecordable: true,
    update: ({ param, gradient: grad, state, lr, weightDecay }, { momentum }) => {
      const [velocity] = state as [tf.Tensor];
      return run('BnnSgdMomentum', { param, grad, velocity }, { lr, momentum, weightDecay });
    },
  }),
  adam,
  row({ name: 'adamw', ...ADAM, update: adamUpdate(true) }),
  row({
    name: 'bop',
    fields: {
      bopGamma: number(1e-4, 0, 1, 'bop: how fast the average of gradients adapts, at the start'),
      bopThreshold: number(1e-8, 0, 1e6, 'bop: size of that average that flips a weight'),
      bopDecay: number(0.1, 0, 1, 'bop: what each fifth of the epochs leaves of bopGamma, as in the paper; 1 = all'),
    },
    states: ['average'],
    roles: ['binary-weight'],
    isBinary: true,
    isRecordable: true,
    update: ({ param, gradient, state, epoch, epochs }, values) => {
      const [average] = state as [tf.Tensor];
      const gamma = bopGamma({ ...values, epochs }, epoch);
      return bop(param, gradient, average, { gamma, threshold: values.bopThreshold });
    },
  }),
  row({
    name: 'muon',
    fields: { muonMomentum: number(0.95, 0, 1, 'muon: momentum of binary weights; adam moves the others') },
    states: ['momentum'],
    roles: ['binary-weight'],
    update: ({ param, gradient, state, lr, weightDecay }, { muonMomentum: momentum }) => {
      const [average] = state as [tf.Tensor];
      return muon(param, gradient, average, { lr, momentum, weightDecay });
    },
  }),
] as const;

export const DECAY_GROUPS = ['all', 'weights', 'float-weights'] as const;
/** Which parameters decay: all, as in the official ReSTE code; all weights but no bias or norm; only weights that stay float. */
export type DecayGroup = (typeof DECAY_GROUPS)[number];

/** Of the learning rate and of weight decay, by what a parameter is for. */
export const ROLE_FIELDS = {
  binaryLr: number(1, 0, 1e6, 'learning rate of binary weights, in multiples of lr'),
  normLr: number(1, 0, 1e6, 'learning rate of norms, biases and learned factors, in multiples of lr'),
  binaryDecay: number(1, 0, 1e6, 'weight decay of binary weights, in multiples of weightDecay'),
  normDecay: number(1, 0, 1e6, 'weight decay of norms, biases and learned factors, in multiples of weightDecay'),
} satisfies Fields;
type RoleFactors = ValuesOf<typeof ROLE_FIELDS>;

/** Whether all parameters have one learning rate. */
export function hasOneRate({ binaryLr, normLr }: Pick<RoleFactors, 'binaryLr' | 'normLr'>): boolean {
  return binaryLr === 1 && normLr === 1;
}

export interface OptimizerOptions extends Partial<RoleFactors> {
  readonly optimizer: OptimizerRow;
  /** The recipe's fields, for those of the optimizer. */
  readonly values: ValuesOf<Fields>;
  readonly weightDecay: number;
  readonly weightDecayOn: DecayGroup;
  /** Latent binary weights are clamped to [−c, c] after each step; 0 for never. */
  readonly clampWeights: number;
  /** 1 unless told. */
  readonly epochs?: number;
}

function decays(role: ParameterRole, group: DecayGroup): boolean {
  if (group === 'all') return true;
  if (group === 'weights') return role === 'weight' || role === 'binary-weight';
  return role === 'weight';
}

function factorsOf(
  role: ParameterRole,
  factors: Partial<RoleFactors>,
): { readonly lr: number; readonly decay: number } {
  const { binaryLr = 1, normLr = 1, binaryDecay = 1, normDecay = 1 } = factors;
  if (role === 'binary-weight') return { lr: binaryLr, decay: binaryDecay };
  return role === 'weight' ? { lr: 1, decay: 1 } : { lr: normLr, decay: normDecay };
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
        this.#ruleOf(info).states.map(() => tf.keep(tf.zeros(shape))),
      );
      if (this.#ruleOf(info).isBinary === true)
        store.setParameter(info.name, run('BnnSign', { x: store.parameter(info.name) }));
    }
  }

  get step(): number {
    return this.#step;
  }

  /**
   * Takes one step and disposes the gradients.
   *
   * @param epoch  0 … epochs − 1.
   */
  apply(gradients: ReadonlyMap<string, tf.Tensor>, lr: number, epoch = 0): void {
    this.#step++;
    enterScope('optimizer');
    for (const info of this.#trainable()) {
      const gradient = gradients.get(info.name);
      if (gradient === undefined) throw new Error(`internal: no gradient for "${info.name}"`);
      const [next, ...state] = this.#update(info, gradient, lr, epoch);
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
      for (const [i, suffix] of this.#ruleOf(info).states.entries()) {
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
      const restored = this.#ruleOf(info).states.map((suffix) =>
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

  #ruleOf({ role }: ParameterInfo): OptimizerRow {
    const { optimizer } = this.#options;
    return optimizer.roles === undefined || optimizer.roles.includes(role) ? optimizer : adam;
  }

  #update(info: ParameterInfo, gradient: tf.Tensor, lr: number, epoch: number): [tf.Tensor, ...tf.Tensor[]] {
    const { weightDecayOn, values, epochs = 1 } = this.#options;
    const { role, name } = info;
    const factors = factorsOf(role, this.#options);
    const weightDecay = decays(role, weightDecayOn) ? factors.decay * this.#options.weightDecay : 0;
    const rule = this.#ruleOf(info);
    const state = this.#state.get(name) ?? [];
    if (state.length !== rule.states.length) throw new Error(`internal: no optimizer state for "${name}"`);
    const param = this.#store.parameter(name);
    const at = { param, gradient, state, role, lr: factors.lr * lr, weightDecay, step: this.#step, epoch, epochs };
    return rule.update(at, values);
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
