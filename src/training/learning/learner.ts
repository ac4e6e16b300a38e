/** What learns: takes steps with a network, measures and evaluates it. */

import type * as tf from '@tensorflow/tfjs-core';
import { explainOutOfMemory, isOutOfMemory } from '../../backends/out-of-memory.ts';
import type { InputTap, RecordedWork, StepRecorder } from '../../backends/step-recorder.ts';
import { rowNamed } from '../../core/row-named.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import type { Batch } from '../../data/batches/batch-maker.ts';
import type { Batcher } from '../../data/batches/batches.ts';
import { toWords } from '../../data/batches/picture-bytes.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { Model } from '../../graph/model.ts';
import type { TrainingPrecision } from '../../kernels/convolution.ts';
import { measureStatistics } from '../measures/batch-statistics.ts';
import { EVALUATION_BATCH, evaluate } from '../measures/evaluate.ts';
import type { ProbeOptions } from '../measures/indicator-probe.ts';
import type { EpochIndicators } from '../measures/indicators.ts';
import { hasOneRate, type OptimizerRow } from '../optimizers/optimizer.ts';
import { learningRate, type ScheduleRow } from '../optimizers/schedule.ts';
import { createEstimators } from '../program/create-estimators.ts';
import { Program } from '../program/program.ts';
import type { Parts } from '../recipes/parts.ts';
import { type Recipe, valuesOf } from '../recipes/recipe.ts';
import type { Checkpoint } from '../sessions/checkpoint-io.ts';
import type { LatentWeight } from '../sessions/train-options.ts';
import type { Run } from '../steps/step.ts';
import type { AskTeacher } from './cached-teacher.ts';
import { inputsOf, learn, type Pictures, prepareStep, type StepData } from './learn-batch.ts';
import { learnTogether } from './learn-together.ts';
import { LearnedState } from './learned-state.ts';
import { type Outcome, outcomeOf, readOutcome } from './loss.ts';
import { assertStepFits, largestBatch } from './step-memory.ts';
import { StepReplay } from './step-replay.ts';
import type { JointOutcome, Team } from './team.ts';

export interface LearnerSettings {
  readonly parts: Pick<Parts, 'estimators' | 'schedules' | 'weightTransforms' | 'optimizers'>;
  readonly dataset: Dataset;
  readonly stepsPerEpoch: number;
  /** Fixed pictures on which the network is measured, where the recipe asks for that. */
  readonly sample: Batcher | null;
  /** What the weight transform starts from, where that is not the weights of the model. */
  readonly latent?: ReadonlyMap<string, Tensor> | undefined;
  readonly teacher: AskTeacher | undefined;
  /** Whether the backend wants padding as a step of its own. */
  readonly explicitPadding: boolean;
  /** Whether nothing is computed twice to save memory. */
  readonly keepsAll?: boolean;
  readonly precision: TrainingPrecision;
  readonly recorder?: StepRecorder | undefined;
  /** Gives memory that is kept for the next tensors back to the device. */
  readonly trimMemory?: () => void;
  /** Where other processes have the other parts of each batch. */
  readonly team: Team | null;
  /** Whether kernels have finished when they return. */
  readonly synchronous: boolean;
  /** Bytes that a step may take; Infinity where they are not the host's. */
  readonly memoryLimit: number;
}

export class Learner {
  readonly #model: Model;
  readonly #recipe: Recipe;
  readonly #settings: LearnerSettings;
  readonly #program: Program;
  readonly #schedule: ScheduleRow;
  readonly #rule: OptimizerRow;
  readonly #state: LearnedState;
  readonly #estimators: ReturnType<typeof createEstimators>;
  /** Where steps can be recorded; null where the host takes part in them. */
  readonly #replay: StepReplay | null;
  #isDisposed = false;
  /** Of the last batch, where its pictures came as bytes. */
  #byteTable: Float32Array | null = null;

  constructor(model: Model, recipe: Recipe, settings: LearnerSettings) {
    this.#model = model;
    this.#recipe = recipe;
    this.#settings = settings;
    const { parts } = settings;
    this.#estimators = createEstimators(recipe, parts.estimators);
    this.#schedule = rowNamed(parts.schedules, recipe.schedule);
    this.#rule = rowNamed(parts.optimizers, recipe.optimizer);
    this.#program = new Program(model, settings);
    this.#checkMemory();
    this.#state = new LearnedState(this.#program, recipe, {
      estimators: this.#estimators,
      optimizer: this.#rule,
      weightTransforms: parts.weightTransforms,
      latent: settings.latent,
      adaptStatistics: (epoch) => this.adaptStatistics(epoch),
      probe: recipe.indicators ? this.#probeOptions() : null,
    });
    const needsHost =
      recipe.clipGradients > 0 ||
      !hasOneRate(recipe) ||
      this.#estimators.learned.length > 0 ||
      this.#program.drawsRandomly ||
      this.#rule.isRecordable !== true;
    this.#replay =
      settings.recorder === undefined || needsHost || settings.team !== null ? null : new StepReplay(settings.recorder);
  }

  /** @throws {BnnError} E_BACKEND when a step cannot fit into memory. */
  #checkMemory(): void {
    const { dataset, memoryLimit } = this.#settings;
    const whole = Math.min(this.#recipe.batchSize, dataset.train.count);
    const batch = this.#settings.team?.shareOf(whole) ?? whole;
    // In the graph and in the program, with gradients and the optimizer's state.
    const weights = this.parameterCount * (3 + this.#rule.states.length);
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
    return this.#state.steps;
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
    const { lr, epochs, warmupEpochs } = this.#recipe;
    const { stepsPerEpoch } = this.#settings;
    const totalSteps = epochs * stepsPerEpoch;
    const warmupSteps = Math.round(warmupEpochs * stepsPerEpoch);
    return learningRate(this.#schedule, { lr, step, totalSteps, stepsPerEpoch, warmupSteps }, valuesOf(this.#recipe));
  }

  /** The weights of an epoch: how far they are transformed depends on it. */
  setEpoch(epoch: number): void {
    this.#state.setEpoch(epoch);
  }

  /** Before the first step of an epoch. */
  beginEpoch(): void {
    this.#state.probe?.beginEpoch();
  }

  /** Measures the indicators after the last step of an epoch; null where the recipe wants none. */
  async measure(epoch: number): Promise<EpochIndicators | null> {
    const { probe } = this.#state;
    if (probe === null) return null;
    this.#changeShapes();
    return this.#explained(epoch, () => probe.measure(this.#sample(), epoch));
  }

  /** Gives the network the statistics of the weights that it starts with, which a weight transform may have changed. */
  async adaptStatistics(epoch: number): Promise<void> {
    await measureStatistics(this.#program, this.#sample(), this.#settings.dataset, this.#estimators.at(epoch));
  }

  /**
   * Learns from a batch. The device may still be computing when this returns.
   *
   * @returns its loss and hits, to be given to `settle`; until then a rejection is not unhandled.
   * @throws {BnnError} E_BACKEND with a batch size that fits, when the device has too little memory.
   */
  async step(batch: Batch, epoch: number): Promise<{ readonly outcome: Promise<Outcome> }> {
    return this.#explained(epoch, () => this.#take(batch, epoch));
  }

  /**
   * Learns from a batch of which each process has a part.
   *
   * @returns null where a process has no picture of the batch, which is left out then.
   * @throws {BnnError} as `step`, and what went wrong in another process.
   */
  stepTogether(team: Team, batch: Batch, epoch: number, shouldStop: boolean): Promise<JointOutcome | null> {
    return this.#explained(epoch, () => this.#takeTogether(team, batch, epoch, shouldStop));
  }

  /**
   * Waits for the outcome of a step.
   *
   * @throws {BnnError} as `step`.
   */
  settle(outcome: Promise<Outcome>, epoch: number): Promise<Outcome> {
    return this.#explained(epoch, () => outcome);
  }

  async #take(batch: Pictures, epoch: number): Promise<{ readonly outcome: Promise<Outcome> }> {
    this.#state.deployed.beforeStep();
    this.#byteTable = batch.bytes?.table ?? null;
    const options = { ...this.#recipe, epoch, teacher: this.#settings.teacher };
    const randomness = [this.#recipe.seed, epoch, batch.index];
    const settings = { ...this.#estimators.at(epoch), randomness };
    const data = await prepareStep(batch, this.#settings.dataset, options);
    const run = async (input: InputTap): Promise<tf.Tensor> => {
      const { figures, gradients } = await learn(this.#program, data, settings, options, input);
      try {
        await this.#update(gradients, epoch);
        return figures;
      } catch (error) {
        figures.dispose();
        throw error;
      }
    };
    const taken =
      this.#replay !== null
        ? await this.#recorded(this.#replay, data, epoch, run)
        : { outcome: readOutcome(await run((t) => t)) };
    taken.outcome.catch(() => {});
    return taken;
  }

  async #takeTogether(team: Team, batch: Batch, epoch: number, shouldStop: boolean): Promise<JointOutcome | null> {
    this.#state.deployed.beforeStep();
    const total = this.#totalOf(team, batch);
    if (total === null) return null;
    const { syncBatchNorm, seed } = this.#recipe;
    const { synchronous, dataset, teacher } = this.#settings;
    const options = { ...this.#recipe, epoch, teacher, total };
    const data = await prepareStep(batch, dataset, options);
    const settings = { ...this.#estimators.at(epoch), randomness: [seed, epoch, batch.index], place: batch.whole };
    const { gradients, outcome } = await learnTogether(
      team,
      this.#program,
      { count: batch.count, total, syncBatchNorm, synchronous, shouldStop },
      (joint) => learn(this.#program, data, { ...settings, ...joint }, options, (t) => t),
    );
    await this.#update(gradients, epoch);
    return outcome();
  }

  /** Pictures of the whole batch; null where a process has none. */
  #totalOf(team: Team, { count, whole }: Batch): number | null {
    // Only where broken ones may be left out, a process cannot know.
    if (this.#recipe.brokenImages !== 'skip') return whole.count;
    const counts = team.counts(count);
    return counts.includes(0) ? null : counts.reduce((sum, each) => sum + each, 0);
  }

  /** Makes sure that all processes have learned the same. */
  assertSame(team: Team): Promise<void> {
    return this.#state.assertSame(team);
  }

  async #recorded(
    replay: StepReplay,
    data: StepData,
    epoch: number,
    run: RecordedWork['run'],
  ): Promise<{ readonly outcome: Promise<Outcome> }> {
    const step = this.steps + 1;
    const key = [epoch, data.labels.length, this.#state.deployed.decayAt(step)].join(' ');
    const numbers = { lr: this.learningRate(this.steps), step };
    const { result, isReplay } = await replay.take(key, inputsOf(data), numbers, {
      state: () => this.#state.tensors(),
      run,
    });
    if (isReplay) this.#state.advance();
    return { outcome: result.then(outcomeOf) };
  }

  #update(gradients: ReadonlyMap<string, tf.Tensor>, epoch: number): Promise<void> {
    return this.#state.update(gradients, {
      lr: this.learningRate(this.steps),
      epoch,
      sumUp: this.#settings.team?.sumUp,
    });
  }

  #probeOptions(): ProbeOptions {
    return {
      estimator: this.#estimators.at(this.#recipe.epochs).weightEstimator,
      seed: this.#recipe.seed,
      stepsPerEpoch: this.#settings.stepsPerEpoch,
      differentiate: (...given) => this.#differentiate(...given),
    };
  }

  /** Gradients of the latent weights over a batch, the caller's; moves nothing. */
  async #differentiate(
    batch: Batch,
    epoch: number,
    observe?: NonNullable<Run['observe']>,
  ): Promise<ReadonlyMap<string, tf.Tensor>> {
    const options = { ...this.#recipe, cutout: 0, mixup: 0, epoch, teacher: this.#settings.teacher };
    const settings = { ...this.#estimators.at(epoch), ...(observe && { observe }), statisticsKeep: 1 };
    const data = await prepareStep(batch, this.#settings.dataset, options);
    const { figures, gradients } = await learn(this.#program, data, settings, options, (t) => t);
    figures.dispose();
    for (const sharpness of this.#estimators.learned) sharpness.forgetGradients();
    return this.#state.weights.toLatent(gradients);
  }

  /** What is learned, with its gradients over the first batch of the sample. */
  inspect(epoch: number): Promise<LatentWeight[]> {
    return this.#explained(epoch, async () => {
      const found: LatentWeight[] = [];
      for await (const batch of this.#sample().epoch(0)) {
        const gradients = await this.#differentiate(batch, epoch);
        for (const [name, gradient] of gradients) {
          const [values, slopes] = [await this.#state.weights.parameter(name).data(), await gradient.data()];
          // Copies: on some backends these are the tensors' own numbers.
          found.push({ name, values: Float32Array.from(values), gradient: Float32Array.from(slopes) });
        }
        for (const gradient of gradients.values()) gradient.dispose();
        break;
      }
      return found;
    });
  }

  #sample(): Batcher {
    const { sample } = this.#settings;
    if (sample === null) throw new Error('internal: nothing to measure on');
    return sample;
  }

  /** Where the device has too little memory for `work`, the error names a batch size that fits. */
  async #explained<T>(epoch: number, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#replay?.drop();
      if (!isOutOfMemory(error)) throw error;
      // The run is over. What the failed step left may be tensors without memory, so each attempt starts anew.
      this.dispose();
      this.#settings.trimMemory?.();
      throw await explainOutOfMemory(error, this.#recipe.batchSize, (whole) => this.#attempt(whole, epoch));
    }
  }

  /** Takes a step of so many black pictures, or of this process's part of them. */
  async #attempt(whole: number, epoch: number): Promise<void> {
    const { team } = this.#settings;
    const count = team?.shareOf(whole) ?? whole;
    const { height, width, channels } = this.#settings.dataset;
    const pixels = count * height * width * channels;
    const table = this.#byteTable;
    const black =
      table === null
        ? { images: new Float32Array(pixels) }
        : { images: new Float32Array(0), bytes: { words: toWords(new Uint8Array(pixels)), table } };
    const recipe = { ...this.#recipe, batchSize: whole };
    const other = new Learner(this.#model, recipe, { ...this.#settings, recorder: undefined });
    try {
      const { outcome } = await other.#take({ ...black, labels: new Int32Array(count), count, index: 0 }, epoch);
      await outcome;
    } finally {
      other.dispose();
    }
  }

  /** With the weights that count, the averaged ones where there are any, and with statistics of these where they are measured. */
  async evaluate(batcher: Batcher, epoch: number, signal: AbortSignal | undefined): ReturnType<typeof evaluate> {
    const { dataset, team } = this.#settings;
    this.#changeShapes();
    const options = { signal, most: this.#evaluationBatch };
    const own = await this.#state.deployed.during(epoch, () =>
      evaluate(this.#program, batcher, dataset, this.#estimators.at(epoch), options),
    );
    return team === null ? own : team.joinEvaluations(own, batcher.pictures);
  }

  /** Buffers of training steps serve no batch of another size; the next epoch's commands are recorded anew in any case. */
  #changeShapes(): void {
    this.#replay?.drop();
    this.#settings.trimMemory?.();
  }

  /** @param epoch  the one just evaluated, so that the model is what was; null within epochs and before the first. */
  save(epoch: number | null): Promise<Pick<Checkpoint, 'model' | 'optimizer'>> {
    return this.#state.save(epoch);
  }

  /** @param folder  where the checkpoint lies, for messages. */
  restore(checkpoint: Checkpoint, folder: string): void {
    this.#state.restore(checkpoint, folder);
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#replay?.drop();
    this.#state.dispose();
  }
}
