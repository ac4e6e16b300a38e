/**
 * OvSW: gradients of latent weights that are too small to change their sign (Xiang et al., "OvSW: Overcoming Silent Weights for Accurate
 * Binary Neural Networks", ECCV 2024, arXiv:2407.05257), before each step of the optimizer, in this order:
 *
 *     scale   g ← g·δ·‖w‖/‖g‖ for each filter with ‖g‖/‖w‖ < δ, ‖g‖ at least 1e-6 and ‖w‖ at least 1e-3 in both
 *     decay   g ← g + λ·w for each weight with r < ε, r ← m·r + (1 − m)·[its sign differs from that of the step before], r = 0 at first
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Fields, number, type ValuesOf } from '../../core/field.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { run } from '../../kernels/run.ts';
import { download, type ParameterInfo, type ParameterStore, upload } from '../program/parameters.ts';
import { requireSaved } from './optimizer.ts';

/** Those of a recipe. The authors take 0.04 and 0.0009 for CIFAR-10. */
export const SILENT_FIELDS = {
  silentScale: number(
    0,
    0,
    1e6,
    'OvSW: raises the gradient of a filter to this share of the norm of its weights; 0 = never',
  ),
  silentDecay: number(0, 0, 1e6, 'OvSW: decay of binary weights that hardly ever change sign; 0 = none'),
  silentMomentum: number(0.999, 0, 1, 'OvSW: what a step leaves of how often a weight changed sign'),
  silentThreshold: number(1e-4, 0, 1, 'OvSW: a weight that changes sign less often is silent'),
} satisfies Fields;
export type SilentOptions = ValuesOf<typeof SILENT_FIELDS>;

const [LEAST_GRADIENT, LEAST_WEIGHT] = [1e-6, 1e-3];
const RATE = 'silent_rate';
const SIGNS = 'silent_signs';

interface Tracked {
  /** How often each weight changed its sign, r. */
  readonly rate: tf.Tensor;
  /** ±1, of the step before. */
  readonly signs: tf.Tensor;
}

/** What is binarized of a weight; the caller's. */
type Binarized = (name: string) => tf.Tensor;

export class SilentWeights {
  readonly #store: ParameterStore;
  readonly #binarized: Binarized;
  readonly #options: SilentOptions;
  readonly #tracked = new Map<string, Tracked>();

  constructor(store: ParameterStore, binarized: Binarized, options: SilentOptions) {
    this.#store = store;
    this.#binarized = binarized;
    this.#options = options;
  }

  /** Takes the signs as they are for those of the step before; does nothing where there are some. */
  begin(): void {
    if (this.#options.silentDecay === 0) return;
    for (const { name } of this.#weights()) {
      if (this.#tracked.has(name)) continue;
      this.#set(name, { rate: tf.zerosLike(this.#store.parameter(name)), signs: this.#signsOf(name) });
    }
  }

  /** The gradients that the optimizer gets; takes the given ones over. */
  apply(gradients: ReadonlyMap<string, tf.Tensor>): ReadonlyMap<string, tf.Tensor> {
    const result = new Map(gradients);
    for (const { name, outputAxis } of this.#weights()) {
      const gradient = gradients.get(name);
      if (gradient === undefined) continue;
      this.#track(name);
      result.set(
        name,
        tf.tidy(() => this.#decayed(name, this.#scaled(gradient, this.#store.parameter(name), outputAxis))),
      );
      gradient.dispose();
    }
    return result;
  }

  /** Those that `apply` replaces. */
  tensors(): tf.Tensor[] {
    return [...this.#tracked.values()].flatMap(({ rate, signs }) => [rate, signs]);
  }

  /** `<parameter>.silent_rate` and `<parameter>.silent_signs`. */
  async save(): Promise<Map<string, Tensor>> {
    const saved = new Map<string, Tensor>();
    for (const info of this.#weights()) {
      const tracked = this.#tracked.get(info.name);
      if (tracked === undefined) continue;
      saved.set(`${info.name}.${RATE}`, await download(tracked.rate, info));
      saved.set(`${info.name}.${SIGNS}`, await download(tracked.signs, info));
    }
    return saved;
  }

  /** @throws {BnnError} E_FORMAT when a tensor is missing or has another shape. */
  restore(saved: ReadonlyMap<string, Tensor>, at?: string): void {
    for (const info of this.#options.silentDecay === 0 ? [] : this.#weights()) {
      const [rate, signs] = [RATE, SIGNS].map((suffix) => upload(requireSaved(saved, info, suffix, at), info.layout));
      if (rate !== undefined && signs !== undefined) this.#set(info.name, { rate, signs });
    }
  }

  dispose(): void {
    for (const { rate, signs } of this.#tracked.values()) tf.dispose([rate, signs]);
    this.#tracked.clear();
  }

  *#weights(): Generator<ParameterInfo> {
    for (const info of this.#store.parameters.values()) if (info.role === 'binary-weight') yield info;
  }

  #scaled(gradient: tf.Tensor, weights: tf.Tensor, outputAxis: number): tf.Tensor {
    const { silentScale: share } = this.#options;
    if (share === 0) return gradient;
    const axes = weights.shape.flatMap((_, axis) => (axis === outputAxis ? [] : [axis]));
    const norm = (t: tf.Tensor, least: number): tf.Tensor =>
      tf.maximum(tf.sqrt(tf.sum(tf.square(t), axes, true)), least);
    const ratio = tf.div(norm(gradient, LEAST_GRADIENT), norm(weights, LEAST_WEIGHT));
    return tf.mul(gradient, tf.where(tf.less(ratio, share), tf.div(share, ratio), tf.onesLike(ratio)));
  }

  #decayed(name: string, gradient: tf.Tensor): tf.Tensor {
    const { silentDecay, silentThreshold } = this.#options;
    const tracked = this.#tracked.get(name);
    // A result of its own in any case: the given gradient is disposed.
    if (tracked === undefined) return tf.clone(gradient);
    const isSilent = tf.cast(tf.less(tracked.rate, silentThreshold), 'float32');
    return tf.add(gradient, tf.mul(tf.mul(this.#store.parameter(name), isSilent), silentDecay));
  }

  #track(name: string): void {
    const tracked = this.#tracked.get(name);
    if (tracked === undefined) return;
    const { silentMomentum: keep } = this.#options;
    const signs = this.#signsOf(name);
    const rate = tf.tidy(() => {
      const changed = tf.mul(tf.abs(tf.sub(signs, tracked.signs)), 0.5);
      return tf.add(tf.mul(tracked.rate, keep), tf.mul(changed, 1 - keep));
    });
    this.#set(name, { rate, signs });
  }

  #signsOf(name: string): tf.Tensor {
    return tf.tidy(() => run('BnnSign', { x: this.#binarized(name) }));
  }

  #set(name: string, { rate, signs }: Tracked): void {
    const before = this.#tracked.get(name);
    if (before !== undefined) tf.dispose([before.rate, before.signs]);
    this.#tracked.set(name, { rate: tf.keep(rate), signs: tf.keep(signs) });
  }
}

/** Whether a recipe wants any of it. */
export function wakesSilent({ silentScale, silentDecay }: Pick<SilentOptions, 'silentScale' | 'silentDecay'>): boolean {
  return silentScale > 0 || silentDecay > 0;
}
