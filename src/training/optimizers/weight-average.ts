/**
 * An exponential moving average of all parameters and running statistics: a ← d·a + (1 − d)·p after each step, with
 * d = min(decay, (1 + n)/(10 + n)) at step n, so that the first steps do not weigh for ever. The average of latent weights is
 * what is then binarized.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { download, type ParameterStore, upload } from '../program/parameters.ts';
import { requireSaved } from './optimizer.ts';

const RAW = 'raw';
const AVERAGE = 'average_weight';

export class WeightAverage {
  readonly #store: ParameterStore;
  readonly #decay: number;
  readonly #averages = new Map<string, tf.Tensor>();

  /** @param decay in (0, 1). */
  constructor(store: ParameterStore, decay: number) {
    this.#store = store;
    this.#decay = decay;
    for (const name of store.parameters.keys()) this.#set(name, tf.clone(store.parameter(name)));
  }

  /** @param step the number of optimizer steps taken. */
  update(step: number): void {
    const decay = this.decayAt(step);
    for (const [name, average] of this.#averages) {
      const current = this.#store.parameter(name);
      this.#set(
        name,
        tf.tidy(() => tf.add(tf.mul(average, decay), tf.mul(current, 1 - decay))),
      );
    }
  }

  decayAt(step: number): number {
    return Math.min(this.#decay, (1 + step) / (10 + step));
  }

  tensors(): Iterable<tf.Tensor> {
    return this.#averages.values();
  }

  /** Runs `work` while the store holds the averages. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const raw = new Map<string, tf.Tensor>();
    for (const [name, average] of this.#averages) {
      raw.set(name, tf.keep(tf.clone(this.#store.parameter(name))));
      this.#store.setParameter(name, tf.clone(average));
    }
    try {
      return await work();
    } finally {
      for (const [name, t] of raw) this.#store.setParameter(name, t);
    }
  }

  /** `<parameter>.raw` and `<parameter>.average_weight`; call it while the store holds the raw parameters. */
  async save(): Promise<Map<string, Tensor>> {
    const saved = new Map<string, Tensor>();
    for (const info of this.#store.parameters.values()) {
      saved.set(`${info.name}.${RAW}`, await download(this.#store.parameter(info.name), info));
      const average = this.#averages.get(info.name);
      if (average !== undefined) saved.set(`${info.name}.${AVERAGE}`, await download(average, info));
    }
    return saved;
  }

  /** @throws {BnnError} E_FORMAT when a tensor is missing or has another shape. */
  restore(saved: ReadonlyMap<string, Tensor>, at?: string): void {
    for (const info of this.#store.parameters.values()) {
      this.#store.setParameter(info.name, upload(requireSaved(saved, info, RAW, at), info.layout));
      this.#set(info.name, upload(requireSaved(saved, info, AVERAGE, at), info.layout));
    }
  }

  dispose(): void {
    for (const t of this.#averages.values()) t.dispose();
    this.#averages.clear();
  }

  #set(name: string, average: tf.Tensor): void {
    this.#averages.get(name)?.dispose();
    this.#averages.set(name, tf.keep(average));
  }
}
