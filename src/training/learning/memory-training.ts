/**
 * Training without files, for a page of a browser: the same steps on the same numbers as a run by the same recipe, on pictures in
 * memory. It knows less: no augmentation, no weight transform, no whitened stem, no average, no teacher,
 * no clipping.
 */

import { Rng } from '../../core/numbers/rng.ts';
import { rowNamed } from '../../core/row-named.ts';
import { placeImage, UNCHANGED } from '../../data/batches/augment.ts';
import type { Batch } from '../../data/batches/batch-maker.ts';
import { type ChannelStatistics, normalizationTable } from '../../data/normalization.ts';
import type { Model } from '../../graph/model.ts';
import { EVALUATION_BATCH, type Evaluation, evaluate } from '../measures/evaluate.ts';
import { LatentWeights } from '../optimizers/latent-weights.ts';
import { OPTIMIZERS, Optimizer } from '../optimizers/optimizer.ts';
import { learningRate, SCHEDULES } from '../optimizers/schedule.ts';
import { createEstimators, type Estimators } from '../program/create-estimators.ts';
import { Program } from '../program/program.ts';
import type { Recipe } from '../recipes/recipe.ts';
import { valuesOf } from '../recipes/recipe-values.ts';
import { learn, prepareStep } from './learn-batch.ts';
import { type Outcome, readOutcome } from './loss.ts';
import type { ImageSize } from './mix-batch.ts';

/** Labelled pictures of one size. */
export interface Pictures {
  /** u8[count][height][width][channels]. */
  readonly images: Uint8Array;
  /** [count], class indices. */
  readonly labels: Uint8Array;
}

export interface MemoryData extends ImageSize, ChannelStatistics {
  readonly train: Pictures;
  readonly test: Pictures;
}

export class MemoryTraining {
  readonly stepsPerEpoch: number;
  readonly batchSize: number;
  readonly #recipe: Recipe;
  readonly #data: MemoryData;
  readonly #table: Float32Array;
  readonly #program: Program;
  readonly #weights: LatentWeights;
  readonly #optimizer: Optimizer;
  readonly #estimators: Estimators;
  #order: { readonly epoch: number; readonly indices: Int32Array } | undefined;

  /**
   * @param model  is changed: `save` writes into it.
   * @throws {BnnError} E_UNSUPPORTED for a network that cannot be trained, E_USAGE for an estimator where it cannot be used.
   */
  constructor(model: Model, recipe: Recipe, data: MemoryData) {
    this.#recipe = recipe;
    this.#data = data;
    const count = data.train.labels.length;
    this.batchSize = Math.min(recipe.batchSize, count);
    this.stepsPerEpoch = Math.floor(count / this.batchSize);
    this.#table = normalizationTable(data);
    this.#estimators = createEstimators(recipe);
    this.#program = new Program(model, { explicitPadding: true });
    this.#weights = new LatentWeights(this.#program, null);
    const optimizer = rowNamed(OPTIMIZERS, recipe.optimizer);
    this.#optimizer = new Optimizer(this.#weights, { ...recipe, optimizer, values: valuesOf(recipe) });
  }

  /** Learns from a batch. The event loop gets turns; nothing else may be called meanwhile. */
  async step(epoch: number, index: number): Promise<Outcome> {
    const { seed } = this.#recipe;
    const { train } = this.#data;
    if (this.#order?.epoch !== epoch) {
      this.#order = { epoch, indices: new Rng(seed, epoch).permutation(train.labels.length) };
    }
    const from = index * this.batchSize;
    const batch = this.#batch(train, this.#order.indices.slice(from, from + this.batchSize), index);
    const options = { ...this.#recipe, epoch, teacher: undefined };
    const settings = { ...this.#estimators.at(epoch), randomness: [seed, epoch, index] };
    const data = await prepareStep(batch, this.#data, options);
    const { figures, gradients } = await learn(this.#program, data, settings, options, (tensor) => tensor);
    this.#optimizer.apply(this.#weights.toLatent(gradients), this.#learningRate(), epoch);
    return readOutcome(figures);
  }

  #learningRate(): number {
    const { lr, epochs, warmupEpochs, schedule } = this.#recipe;
    const { stepsPerEpoch } = this;
    const moment = {
      ...{ lr, stepsPerEpoch, step: this.#optimizer.step },
      totalSteps: epochs * stepsPerEpoch,
      warmupSteps: Math.round(warmupEpochs * stepsPerEpoch),
    };
    return learningRate(rowNamed(SCHEDULES, schedule), moment, valuesOf(this.#recipe));
  }

  /** Goes through the test pictures; a part of them when `signal` fires. */
  evaluate(epoch: number, signal?: AbortSignal): Promise<Evaluation> {
    const { test } = this.#data;
    const count = test.labels.length;
    const batches = async function* (this: MemoryTraining): AsyncGenerator<Batch> {
      for (let from = 0, index = 0; from < count; from += EVALUATION_BATCH, index++) {
        const indices = Int32Array.from({ length: Math.min(EVALUATION_BATCH, count - from) }, (_, i) => from + i);
        yield this.#batch(test, indices, index);
      }
    };
    const epochs = { epoch: () => batches.call(this) };
    return evaluate(this.#program, epochs, this.#data, this.#estimators.at(epoch), { signal });
  }

  #batch({ images: pixels, labels }: Pictures, indices: Int32Array, index: number): Batch {
    const { height, width, channels } = this.#data;
    const elements = height * width * channels;
    const count = indices.length;
    const images = new Float32Array(count * elements);
    for (const [i, sample] of indices.entries()) {
      placeImage(pixels, sample * elements, images, i * elements, this.#data, this.#table, UNCHANGED);
    }
    const whole = { from: 0, count };
    return {
      images,
      labels: Int32Array.from(indices, (i) => labels[i] ?? 0),
      indices,
      count,
      index,
      broken: [],
      whole,
    };
  }

  /** The network as it is now. */
  save(): Promise<Model> {
    return this.#program.save();
  }

  dispose(): void {
    this.#optimizer.dispose();
    this.#weights.dispose();
    this.#program.dispose();
  }
}
