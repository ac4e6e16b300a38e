/** The weights that the optimizer moves, where they are not those that the network computes with (see `weight-transform.ts`). */

import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { download, type ParameterInfo, type ParameterStore, upload } from '../program/parameters.ts';
import { requireSaved } from './optimizer.ts';
import type { WeightTransform } from './weight-transform.ts';

const RAW = 'raw';

/** The transform of an epoch. */
export type TransformSchedule = (epoch: number, epochs: number) => WeightTransform;

/** A layer over a program: binary weights are latent here and transformed there; everything else passes through. */
export class LatentWeights implements ParameterStore {
  readonly parameters: ReadonlyMap<string, ParameterInfo>;
  readonly #program: ParameterStore;
  readonly #schedule: TransformSchedule | null;
  readonly #latent = new Map<string, tf.Tensor>();
  #transform: WeightTransform | null = null;

  /**
   * @param schedule  null where weights are not transformed.
   * @param latent    what to start from, by name; the program's weights where it has none.
   */
  constructor(program: ParameterStore, schedule: TransformSchedule | null, latent?: ReadonlyMap<string, Tensor>) {
    this.#program = program;
    this.#schedule = schedule;
    this.parameters = program.parameters;
    if (schedule === null) return;
    for (const info of this.#transformed()) {
      const given = latent?.get(info.name);
      const start = given === undefined ? tf.clone(program.parameter(info.name)) : upload(given, info.layout);
      this.#latent.set(info.name, tf.keep(start));
    }
  }

  /** Transforms by the schedule of this epoch. */
  setEpoch(epoch: number, epochs: number): void {
    this.#transform = this.#schedule?.(epoch, epochs) ?? null;
    for (const info of this.#transformed()) this.#push(info);
  }

  parameter(name: string): tf.Tensor {
    return this.#latent.get(name) ?? this.#program.parameter(name);
  }

  setParameter(name: string, value: tf.Tensor): void {
    const info = this.parameters.get(name);
    if (info === undefined || !this.#latent.has(name)) {
      this.#program.setParameter(name, value);
      return;
    }
    this.#latent.get(name)?.dispose();
    this.#latent.set(name, tf.keep(value));
    this.#push(info);
  }

  /** Those that are not the program's. */
  tensors(): Iterable<tf.Tensor> {
    return this.#latent.values();
  }

  /** Gradients with respect to the latent weights, of those with respect to the program's; takes the tensors over. */
  toLatent(gradients: ReadonlyMap<string, tf.Tensor>): ReadonlyMap<string, tf.Tensor> {
    const transform = this.#transform;
    if (transform === null) return gradients;
    const result = new Map(gradients);
    for (const { name, outputAxis } of this.#transformed()) {
      const gradient = gradients.get(name);
      if (gradient === undefined) continue;
      result.set(name, transform.backward(this.parameter(name), gradient, outputAxis));
      gradient.dispose();
    }
    return result;
  }

  /** The latent weights as `<parameter>.raw`. */
  async save(): Promise<Map<string, Tensor>> {
    const saved = new Map<string, Tensor>();
    for (const info of this.#transformed()) {
      saved.set(`${info.name}.${RAW}`, await download(this.parameter(info.name), info));
    }
    return saved;
  }

  /** @throws {BnnError} E_FORMAT when a tensor is missing or has another shape. */
  restore(saved: ReadonlyMap<string, Tensor>, at?: string): void {
    for (const info of this.#transformed()) {
      this.setParameter(info.name, upload(requireSaved(saved, info, RAW, at), info.layout));
    }
  }

  dispose(): void {
    for (const t of this.#latent.values()) t.dispose();
    this.#latent.clear();
  }

  *#transformed(): Generator<ParameterInfo> {
    if (this.#schedule === null) return;
    for (const info of this.parameters.values()) if (info.role === 'binary-weight') yield info;
  }

  #push({ name, outputAxis }: ParameterInfo): void {
    if (this.#transform === null) return;
    this.#program.setParameter(name, this.#transform.forward(this.parameter(name), outputAxis));
  }
}
