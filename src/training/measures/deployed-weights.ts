/**
 * What is evaluated and saved: the weights of training or their moving average, with the statistics of training or, where the recipe
 * measures them anew, with those of the weights themselves.
 */

import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';
import type { Tensor } from '../../core/tensors/tensor.ts';
import type { LatentWeights } from '../optimizers/latent-weights.ts';
import { WeightAverage } from '../optimizers/weight-average.ts';
import type { Program } from '../program/program.ts';
import { measuresStatistics, type Recipe } from '../recipes/recipe.ts';
import { MeasuredStatistics } from './batch-statistics.ts';

/** Gives the program the statistics of the weights that it has, with the estimators of an epoch. */
type Measure = (epoch: number) => Promise<void>;

export class DeployedWeights {
  readonly #weights: LatentWeights;
  readonly #average: WeightAverage | null;
  readonly #statistics: MeasuredStatistics | null;
  readonly #measure: Measure;

  constructor(program: Program, weights: LatentWeights, recipe: Recipe, measure: Measure) {
    this.#weights = weights;
    this.#average = recipe.emaDecay > 0 ? new WeightAverage(weights, recipe.emaDecay) : null;
    this.#statistics = measuresStatistics(recipe) ? new MeasuredStatistics(program) : null;
    this.#measure = measure;
  }

  /** What a step replaces. */
  tensors(): Iterable<TfTensor> {
    return this.#average?.tensors() ?? [];
  }

  /** Of the average in a step; undefined without one. */
  decayAt(step: number): number | undefined {
    return this.#average?.decayAt(step);
  }

  beforeStep(): void {
    this.#statistics?.clear();
  }

  /** @param step  the number of steps taken. */
  afterStep(step: number): void {
    this.#average?.update(step);
  }

  /**
   * Runs `work` while the program has them.
   *
   * @param epoch  null to leave the statistics as they are in training.
   */
  during<T>(epoch: number | null, work: () => Promise<T>): Promise<T> {
    const statistics = epoch === null ? null : this.#statistics;
    const measured =
      epoch === null || statistics === null ? work : () => statistics.during(() => this.#measure(epoch), work);
    return this.#average === null ? measured() : this.#average.during(measured);
  }

  /** What training goes on from. */
  async save(): Promise<[string, Tensor][]> {
    const weights = await (this.#average ?? this.#weights).save();
    const statistics = this.#average === null ? await this.#statistics?.save() : undefined;
    return [...weights, ...(statistics ?? [])];
  }

  /** @throws {BnnError} E_FORMAT when a tensor is missing or has another shape. */
  restore(saved: ReadonlyMap<string, Tensor>, at: string): void {
    (this.#average ?? this.#weights).restore(saved, at);
    if (this.#average === null) this.#statistics?.restore(saved, at);
  }

  dispose(): void {
    this.#statistics?.clear();
    this.#average?.dispose();
  }
}
