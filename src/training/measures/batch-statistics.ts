/**
 * Statistics of batch normalization measured anew on the fixed sample: for weights that are evaluated but were not trained with, such
 * as the signs of relaxed weights, or averages.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../../core/tensors/tensor.ts';
import type { Batcher } from '../../data/batches/batches.ts';
import type { ImageSize } from '../learning/mix-batch.ts';
import { picturesOf, uploadPictures } from '../learning/upload-pictures.ts';
import { requireSaved } from '../optimizers/optimizer.ts';
import { download, type ParameterInfo, upload } from '../program/parameters.ts';
import type { Program, RunSettings } from '../program/program.ts';

const RAW = 'raw';

/**
 * Sets the running statistics of a program to the mean of those of the batches, with weights as evaluation has them.
 *
 * @param sample  full batches.
 */
export async function measureStatistics(
  program: Program,
  sample: Batcher,
  size: ImageSize,
  settings: RunSettings,
): Promise<void> {
  let seen = 0;
  for await (const batch of sample.epoch(0)) {
    const x = uploadPictures(picturesOf(batch), batch.count, size);
    await program.adoptStatistics(x, { ...settings, relaxWeights: false }, seen / (seen + 1));
    seen++;
    x.dispose();
  }
}

/** Measured statistics beside those of training, which go on from where they were. */
export class MeasuredStatistics {
  readonly #program: Program;
  readonly #measured = new Map<string, tf.Tensor>();

  constructor(program: Program) {
    this.#program = program;
  }

  /** Forgets what was measured: the weights have moved. */
  clear(): void {
    for (const t of this.#measured.values()) t.dispose();
    this.#measured.clear();
  }

  /** Runs `work` while the program has statistics of the weights that it has now; measures them unless that was done. */
  async during<T>(measure: () => Promise<void>, work: () => Promise<T>): Promise<T> {
    const running = new Map<string, tf.Tensor>();
    for (const { name } of this.#buffers()) running.set(name, tf.keep(tf.clone(this.#program.parameter(name))));
    try {
      if (this.#measured.size === 0) {
        await measure();
        for (const name of running.keys()) this.#measured.set(name, tf.keep(tf.clone(this.#program.parameter(name))));
      } else {
        for (const [name, t] of this.#measured) this.#program.setParameter(name, tf.clone(t));
      }
      return await work();
    } finally {
      for (const [name, t] of running) this.#program.setParameter(name, t);
    }
  }

  /** Those of training, as `<parameter>.raw`. */
  async save(): Promise<Map<string, Tensor>> {
    const saved = new Map<string, Tensor>();
    for (const info of this.#buffers())
      saved.set(`${info.name}.${RAW}`, await download(this.#program.parameter(info.name), info));
    return saved;
  }

  /** @throws {BnnError} E_FORMAT when a tensor is missing or has another shape. */
  restore(saved: ReadonlyMap<string, Tensor>, at?: string): void {
    for (const info of this.#buffers()) {
      this.#program.setParameter(info.name, upload(requireSaved(saved, info, RAW, at), info.layout));
    }
  }

  *#buffers(): Generator<ParameterInfo> {
    for (const info of this.#program.parameters.values()) if (info.role === 'buffer') yield info;
  }
}
