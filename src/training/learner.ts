/** What learns: the network with its latent weights, and the optimizer, estimators, average and probe that go with it. */

import { join } from 'node:path';
import type * as tf from '@tensorflow/tfjs-core';
import { explainOutOfMemory, isOutOfMemory } from '../backends/out-of-memory.ts';
import type { InputTap, RecordedWork, StepRecorder } from '../backends/step-recorder.ts';
import type { Tensor } from '../core/tensor.ts';
import type { Batch } from '../data/batch-maker.ts';
import type { Batcher } from '../data/batches.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Model } from '../graph/model.ts';
import type { Checkpoint } from './checkpoint-io.ts';
import { clipGradients } from './clip-gradients.ts';
import { createEstimators } from './create-estimators.ts';
import { EVALUATION_BATCH, evaluate } from './evaluate.ts';
import { IndicatorProbe } from './indicator-probe.ts';
import type { EpochIndicators } from './indicators.ts';
import { LatentWeights } from './latent-weights.ts';
import { inputsOf, learn, type Pictures, prepareStep, type StepData } from './learn-batch.ts';
import { type Outcome, outcomeOf, readOutcome } from './loss.ts';
import { Optimizer, statesOf } from './optimizer.ts';
import { Program } from './program.ts';
import type { Recipe } from './recipe.ts';
import { learningRate } from './schedule.ts';
import { assertStepFits, largestBatch } from './step-memory.ts';
import { StepReplay } from './step-replay.ts';
import type { TrainOptions } from './train-options.ts';
import { WeightAverage } from './weight-average.ts';

export interface LearnerSettings {
  readonly dataset: Dataset;
  readonly stepsPerEpoch: number;
  readonly teacher: TrainOptions['teacher'];
  /** Whether the backend wants padding as a step of its own. */
  readonly explicitPadding: boolean;
  readonly recorder?: StepRecorder | undefined;
  /** Bytes that a step may take; Infinity where they are not the host's. */
  readonly memoryLimit: number;
}

export class Learner {
  readonly #recipe: Recipe;
  readonly #settings: LearnerSettings;
  readonly #program: Program;
  readonly #weights: LatentWeights;
  readonly #optimizer: Optimizer;
  readonly #average: WeightAverage | null;
  readonly #probe: IndicatorProbe | null;
  readonly #estimators: ReturnType<typeof createEstimators>;
  /** Where steps can be recorded; null where the host takes part in them. */
  readonly #replay: StepReplay | null;
  /** Of the last step of an epoch. */
  #indicators: EpochIndicators | null = null;

  constructor(model: Model, recipe: Recipe, settings: LearnerSettings) {
    this.#recipe = recipe;
    this.#settings = settings;
    this.#estimators = createEstimators(recipe);
    this.#program = new Program(model, { explicitPadding: settings.explicitPadding });
    this.#checkMemory();
    this.#weights = new LatentWeights(this.#program, recipe.weightTransform);
    this.#optimizer = new Optimizer(this.#weights, recipe);
    this.#average = recipe.emaDecay > 0 ? new WeightAverage(this.#weights, recipe.emaDecay) : null;
    const { surrogate } = this.#estimators.at(recipe.epochs).weightEstimator;
    this.#probe = recipe.indicators ? new IndicatorProbe(this.#program, { surrogate, seed: recipe.seed }) : null;
    const needsHost = recipe.clipGradients > 0 || this.#estimators.learned.length > 0 || this.#program.drawsRandomly;
    this.#replay = settings.recorder === undefined || needsHost ? null : new StepReplay(settings.recorder);
  }

  /** @throws {BnnError} E_BACKEND when a step cannot fit into memory. */
  #checkMemory(): void {
    const { dataset, memoryLimit } = this.#settings;
    const batch = Math.min(this.#recipe.batchSize, dataset.train.count);
    // In the graph and in the program, with gradients and the optimizer's state.
    const weights = this.parameterCount * (3 + statesOf(this.#recipe.optimizer));
    try {
      assertStepFits((count) => 4 * (weights + this.#program.peakElements(count, true)), batch, memoryLimit);
    } catch (error) {
      this.#program.dispose();
      throw error;
    }
  }

  /** Pictures that are evaluated at once, at most: so many that they fit into memory. */
  get #evaluationBatch(): number {
    const bytes = (count: number) => 4 * (2 * this.parameterCount + this.#program.peakElements(count, false));
    return Math.max(1, largestBatch(bytes, EVALUATION_BATCH, this.#settings.memoryLimit));
  }

  /** Steps taken since the run began. */
  get steps(): number {
    return this.#optimizer.step;
  }

  /** Measured in the last step of an epoch; null before it, and where the recipe wants none. */
  get indicators(): EpochIndicators | null {
    return this.#indicators;
  }

  /** Learned parameters, without running statistics. */
  get parameterCount(): number {
    let count = 0;
    for (const { role, shape } of this.#program.parameters.values()) {
      if (role !== 'buffer') count += shape.reduce((a, b) => a * b, 1);
    }
    return count;
  }

  /** ReSTE's power o in an epoch; null with other estimators. */
  o(epoch: number): number | null {
    return this.#estimators.o(epoch);
  }

  /** Of the step that is the `step`th from 0. */
  learningRate(step: number): number {
    const { schedule, lr, epochs, warmupEpochs, stepFactor, stepEpochs } = this.#recipe;
    const perEpoch = this.#settings.stepsPerEpoch;
    return learningRate(schedule, lr, step, epochs * perEpoch, Math.round(warmupEpochs * perEpoch), {
      factor: stepFactor,
      steps: Math.max(1, Math.round(stepEpochs * perEpoch)),
    });
  }

  /** The weights of an epoch: how far they are transformed depends on it. */
  setEpoch(epoch: number): void {
    this.#weights.setEpoch(epoch, this.#recipe.epochs);
  }

  /** Before the first step of an epoch. */
  async beginEpoch(): Promise<void> {
    this.#indicators = null;
    await this.#probe?.begin();
  }

  /**
   * Learns from a batch. The device may still be computing when this returns.
   *
   * @returns its loss and hits, to be given to `settle`; until then a rejection is not unhandled.
   * @throws {BnnError} E_BACKEND with a batch size that fits, when the device has too little memory.
   */
  async step(batch: Batch, epoch: number): Promise<{ readonly outcome: Promise<Outcome> }> {
    const probe = batch.index + 1 === this.#settings.stepsPerEpoch ? this.#probe : null;
    return this.#explained(epoch, async () => {
      const taken = await this.#take(batch, epoch, probe);
      if (probe !== null) this.#indicators = await probe.finish(epoch);
      return taken;
    });
  }

  /**
   * Waits for the outcome of a step.
   *
   * @throws {BnnError} as `step`.
   */
  settle(outcome: Promise<Outcome>, epoch: number): Promise<Outcome> {
    return this.#explained(epoch, () => outcome);
  }

  async #take(
    batch: Pictures,
    epoch: number,
    probe: IndicatorProbe | null = null,
  ): Promise<{ readonly outcome: Promise<Outcome> }> {
    const options = { ...this.#recipe, epoch, teacher: this.#settings.teacher };
    const randomness = [this.#recipe.seed, epoch, batch.index];
    const settings = { ...this.#estimators.at(epoch), randomness, observe: probe?.observe };
    const data = await prepareStep(batch, this.#settings.dataset, options);
    const run = async (input: InputTap): Promise<tf.Tensor> => {
      const { figures, gradients } = await learn(this.#program, data, settings, options, input);
      try {
        await this.#update(gradients, probe);
        return figures;
      } catch (error) {
        figures.dispose();
        throw error;
      }
    };
    const taken =
      probe === null && this.#replay !== null
        ? await this.#recorded(this.#replay, data, epoch, run)
        : { outcome: readOutcome(await run((t) => t)) };
    taken.outcome.catch(() => {});
    return taken;
  }

  async #recorded(
    replay: StepReplay,
    data: StepData,
    epoch: number,
    run: RecordedWork['run'],
  ): Promise<{ readonly outcome: Promise<Outcome> }> {
    const step = this.steps + 1;
    const key = [epoch, data.labels.length, this.#average?.decayAt(step)].join(' ');
    const numbers = { lr: this.learningRate(this.steps), step };
    const { result, isReplay } = await replay.take(key, inputsOf(data), numbers, { state: () => this.#state(), run });
    if (isReplay) this.#optimizer.advance();
    return { outcome: result.then(outcomeOf) };
  }

  /** All tensors that a step replaces. */
  #state(): tf.Tensor[] {
    return [
      ...this.#program.tensors(),
      ...this.#weights.tensors(),
      ...this.#optimizer.tensors(),
      ...(this.#average?.tensors() ?? []),
    ];
  }

  async #update(learned: ReadonlyMap<string, tf.Tensor>, probe: IndicatorProbe | null): Promise<void> {
    let gradients = this.#weights.toLatent(learned);
    await probe?.addGradients(gradients);
    const { clipGradients: limit } = this.#recipe;
    if (limit > 0) gradients = await clipGradients(gradients, limit);
    const lr = this.learningRate(this.#optimizer.step);
    this.#optimizer.apply(gradients, lr);
    for (const sharpness of this.#estimators.learned) await sharpness.apply(lr, this.#optimizer.step);
    this.#average?.update(this.#optimizer.step);
  }

  /** Where the device has too little memory for `work`, the error names a batch size that fits. */
  async #explained<T>(epoch: number, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#replay?.drop();
      if (!isOutOfMemory(error)) throw error;
      throw await explainOutOfMemory(error, this.#recipe.batchSize, async (count) => {
        const { height, width, channels } = this.#settings.dataset;
        const images = new Float32Array(count * height * width * channels);
        // The run is over, so the weights may change.
        const { outcome } = await this.#take({ images, labels: new Int32Array(count), count, index: 0 }, epoch);
        await outcome;
      });
    }
  }

  /** With the weights that count: the averaged ones, where there are any. */
  evaluate(batcher: Batcher, epoch: number, signal: AbortSignal | undefined): ReturnType<typeof evaluate> {
    const { dataset } = this.#settings;
    const options = { signal, most: this.#evaluationBatch };
    return this.#deployed(() => evaluate(this.#program, batcher, dataset, this.#estimators.at(epoch), options));
  }

  #deployed<T>(work: () => Promise<T>): Promise<T> {
    return this.#average === null ? work() : this.#average.during(work);
  }

  /** @param isMidEpoch  whether the probe is at work. */
  async save(isMidEpoch: boolean): Promise<Pick<Checkpoint, 'model' | 'optimizer'>> {
    const weights = await (this.#average ?? this.#weights).save();
    const probe = isMidEpoch ? this.#probe?.save() : undefined;
    const learned = this.#estimators.learned.flatMap((estimator) => [...estimator.save()]);
    const model = await this.#deployed(() => this.#program.save());
    const optimizer = new Map<string, Tensor>([
      ...(await this.#optimizer.save()),
      ...weights,
      ...(probe ?? []),
      ...learned,
    ]);
    return { model, optimizer };
  }

  /** @param folder  where the checkpoint lies, for messages. */
  restore({ optimizer, state }: Checkpoint, folder: string): void {
    const at = join(folder, 'optimizer.safetensors');
    (this.#average ?? this.#weights).restore(optimizer, at);
    this.#optimizer.restore(optimizer, state.step, at);
    for (const learned of this.#estimators.learned) learned.restore(optimizer);
    if (state.batch > 0) this.#probe?.restore(optimizer, at);
    this.#indicators = state.indicators ?? null;
  }

  dispose(): void {
    this.#replay?.drop();
    this.#probe?.dispose();
    this.#average?.dispose();
    this.#optimizer.dispose();
    for (const learned of this.#estimators.learned) learned.dispose();
    this.#weights.dispose();
    this.#program.dispose();
  }
}
