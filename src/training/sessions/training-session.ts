/** One run while it runs: epochs, where they stand, and what is recorded and saved of them. */

import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { SelectedBackend } from '../../backends/select-backend.ts';
import { usableMemory } from '../../core/machine/memory.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import type { Batch } from '../../data/batches/batch-maker.ts';
import type { Batcher } from '../../data/batches/batches.ts';
import type { Dataset } from '../../data/dataset.ts';
import { BnnError } from '../../errors.ts';
import type { Model } from '../../graph/model.ts';
import type { TrainingPrecision } from '../../kernels/convolution.ts';
import { Learner } from '../learning/learner.ts';
import type { Outcome } from '../learning/loss.ts';
import type { Team } from '../learning/team.ts';
import type { Parts } from '../recipes/parts.ts';
import { type Recipe, startsTransformed } from '../recipes/recipe.ts';
import { askTeacher } from './ask-teacher.ts';
import type { Checkpoint } from './checkpoint-io.ts';
import { parameterWithoutNumber } from './finite-weights.ts';
import type { EpochRecord } from './history-io.ts';
import { hasEnded } from './is-finished.ts';
import type { RunBatches } from './run-batches.ts';
import { recipeDigest } from './run-folder-io.ts';
import type { RunLock } from './run-lock-io.ts';
import { type CheckpointName, RunWriter } from './run-writer-io.ts';
import type { TrainOptions, TrainResult } from './train-options.ts';
import type { BestEpoch, PartialEpoch } from './training-state.ts';

/** Steps between two checks that all processes have the same weights. */
const CHECK_STEPS = 500;

const EMPTY_EPOCH: PartialEpoch = { loss: 0, correct: 0, images: 0, seconds: 0, waitMs: 0 };

/** A step that the device may still be computing. */
interface Pending {
  readonly epoch: number;
  readonly batch: Pick<Batch, 'index' | 'count'>;
  readonly outcome: Promise<Outcome>;
}

export interface SessionParts {
  readonly recipe: Recipe;
  readonly options: TrainOptions;
  readonly parts: Parts;
  readonly dataset: Dataset;
  readonly backend: SelectedBackend;
  readonly precision: TrainingPrecision;
  /** The network to train: fresh, or the checkpoint's. */
  readonly model: Model;
  /** What its weight transform starts from, where that is not its weights. */
  readonly latent?: ReadonlyMap<string, Tensor> | undefined;
  readonly batches: RunBatches;
  readonly checkpoint: Checkpoint | null;
  readonly lock: RunLock;
  /** Where other processes train the same. */
  readonly team: Team | null;
}

export class TrainingSession {
  readonly #recipe: Recipe;
  readonly #options: TrainOptions;
  readonly #dataset: Dataset;
  readonly #backend: SelectedBackend;
  readonly #precision: TrainingPrecision;
  readonly #batches: RunBatches;
  readonly #learner: Learner;
  readonly #team: Team | null;
  /** Null in processes that do not have the run folder. */
  readonly #writer: RunWriter | null;
  /** What all processes have agreed on. */
  #shouldStop = false;
  #epoch: number;
  #batch: number;
  #seconds: number;
  /** Without the pending step. */
  #partial: PartialEpoch;
  #pending: Pending | null = null;
  #best: BestEpoch | null;
  #lastTestTop1 = Number.NaN;
  #trainedImages = 0;
  #trainedBatches = 0;
  #trainedSeconds = 0;
  #lastSave = performance.now();
  /** Whether a checkpoint holds more than the start. */
  #hasLearned: boolean;

  constructor({ recipe, options, parts, dataset, backend, model, latent, batches, team, ...rest }: SessionParts) {
    const { checkpoint, lock, precision } = rest;
    this.#recipe = recipe;
    this.#options = options;
    this.#dataset = dataset;
    this.#backend = backend;
    this.#precision = precision;
    this.#batches = batches;
    this.#team = team;
    const { out, onNote } = options;
    this.#writer = team?.isFirst === false ? null : new RunWriter({ out, recipe, lock, onNote });
    this.#learner = new Learner(model, recipe, {
      parts,
      dataset,
      stepsPerEpoch: this.#batches.train.batchesPerEpoch,
      sample: this.#batches.sample,
      latent,
      teacher: askTeacher(recipe, dataset, model, options.teacher),
      explicitPadding: backend.capabilities.explicitPadding,
      keepsAll: backend.capabilities.keepsAll,
      precision,
      recorder: backend.recorder,
      trimMemory: () => backend.trimMemory?.(),
      team,
      synchronous: backend.capabilities.synchronous,
      memoryLimit: backend.isGpu ? Infinity : usableMemory() / (team?.communicator.localSize ?? 1),
    });
    const state = checkpoint?.state;
    this.#epoch = state?.epoch ?? 0;
    this.#batch = state?.batch ?? 0;
    this.#seconds = state?.seconds ?? 0;
    this.#partial = state?.partial ?? EMPTY_EPOCH;
    this.#best = state?.best ?? null;
    this.#hasLearned = (state?.step ?? 0) > 0;
    // A model between two epochs keeps the weights that were evaluated.
    if (this.#epoch === 0 || this.#batch > 0) this.#learner.setEpoch(this.#epoch);
    if (checkpoint !== null) this.#learner.restore(checkpoint, join(options.out, 'last'));
  }

  async run(): Promise<TrainResult> {
    const { out, resume } = this.#options;
    await this.#writer?.prepare(resume === true ? this.#epoch : null);
    this.#options.onStart?.({
      recipe: this.#recipe,
      dataset: this.#dataset,
      backend: this.#backend,
      parameters: this.#learner.parameterCount,
      processes: this.#team?.size ?? 1,
      stepsPerEpoch: this.#batches.train.batchesPerEpoch,
      from: { epoch: this.#epoch, batch: this.#batch },
      isComplete: this.#isFinished(),
    });
    if (resume !== true && startsTransformed(this.#recipe)) await this.#learner.adaptStatistics(0);
    // Shows, before any work is done, that the folder can be written and has room.
    await this.#save('last');
    await this.#writer?.describe(this.#environment());
    await this.#assertSame();
    let interrupted = false;
    while (!this.#isFinished() && !interrupted) interrupted = !(await this.#trainEpoch());
    if (interrupted) await this.#save('last');
    else if (Number.isNaN(this.#lastTestTop1)) this.#lastTestTop1 = (await this.#evaluate(this.#batches.test)).top1;
    await this.#writer?.check();
    return {
      run: out,
      epochs: this.#epoch,
      seconds: this.#seconds + this.#partial.seconds,
      imagesPerSecond: this.#trainedSeconds === 0 ? 0 : this.#trainedImages / this.#trainedSeconds,
      testTop1: this.#lastTestTop1,
      best: this.#best,
      interrupted,
    };
  }

  /** What the run computes with; undefined where the caller has not told. */
  #environment(): object | undefined {
    const { environment } = this.#options;
    if (environment === undefined) return undefined;
    const { communicator } = this.#team ?? {};
    return {
      ...environment,
      backend: this.#backend.description,
      precision: this.#precision,
      threads: this.#recipe.threads || (communicator === undefined ? 'all' : this.#backend.threads),
      ...(communicator && { processes: communicator.size, mpi: communicator.library }),
    };
  }

  /** Frees all but the batches, which are the caller's. */
  async close(): Promise<void> {
    // After a failure its figures no longer matter, but its tensors do.
    await this.#pending?.outcome.catch(() => {});
    this.#learner.dispose();
  }

  async #assertSame(): Promise<void> {
    if (this.#team !== null) await this.#learner.assertSame(this.#team);
  }

  #isFinished(): boolean {
    return hasEnded(this.#epoch, this.#best?.epoch ?? null, this.#recipe);
  }

  /** Trains the rest of the current epoch; false when interrupted. */
  async #trainEpoch(): Promise<boolean> {
    const { epochs, checkpointMinutes } = this.#recipe;
    const { train } = this.#batches;
    this.#learner.setEpoch(this.#epoch);
    if (this.#batch === 0) this.#learner.beginEpoch();
    const stream = train.epoch(this.#epoch, this.#batch);
    let begin = performance.now();
    let waited = 0;
    for await (const batch of stream) {
      await this.#trainStep(batch);
      train.recycle(batch);
      this.#batch = batch.index + 1;
      const finished = this.#batch === train.batchesPerEpoch;
      if (finished) await this.#settle();
      const now = performance.now();
      const seconds = (now - begin) / 1000;
      begin = now;
      this.#partial = {
        ...this.#partial,
        seconds: this.#partial.seconds + seconds,
        waitMs: this.#partial.waitMs + stream.waitMs - waited,
      };
      waited = stream.waitMs;
      this.#trainedSeconds += seconds;
      this.#trainedBatches++;
      this.#trainedImages += this.#team === null ? batch.count : batch.whole.count;
      this.#reportStep(epochs);
      if (this.#learner.steps % CHECK_STEPS === 0) await this.#assertSame();
      await yieldToEventLoop();
      if (this.#isInterrupted() && !finished) {
        await stream.close();
        return false;
      }
      if (checkpointMinutes > 0 && !finished && now - this.#lastSave > checkpointMinutes * 60_000)
        await this.#save('last');
    }
    return this.#finishEpoch();
  }

  /** Gives a step to the device, then waits for the one before: the device always has work. */
  async #trainStep(batch: Batch): Promise<void> {
    if (this.#team !== null) {
      await this.#trainStepTogether(this.#team, batch);
      return;
    }
    const { outcome } = await this.#learner.step(batch, this.#epoch);
    await this.#settle();
    this.#pending = { epoch: this.#epoch, batch: { index: batch.index, count: batch.count }, outcome };
  }

  /** The sums of a step are waited for, so its outcome is there as well. */
  async #trainStepTogether(team: Team, batch: Batch): Promise<void> {
    const wantsToStop = this.#options.signal?.aborted === true;
    const outcome = await this.#learner.stepTogether(team, batch, this.#epoch, wantsToStop);
    if (outcome === null) return;
    this.#shouldStop ||= outcome.shouldStop;
    this.#count(outcome, outcome.images, this.#epoch, batch.index);
  }

  /**
   * Counts the pending step. No checkpoint is written without this, so none holds weights that gave a loss which is not a number.
   *
   * @throws {BnnError} E_NUMERIC when it was not.
   */
  async #settle(): Promise<void> {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    const { epoch, batch } = pending;
    this.#count(await this.#learner.settle(pending.outcome, epoch), batch.count, epoch, batch.index);
  }

  /** @throws {BnnError} E_NUMERIC. */
  #count({ loss, correct }: Outcome, images: number, epoch: number, batch: number): void {
    if (!Number.isFinite(loss))
      throw this.#diverged(`the loss became ${loss} in epoch ${epoch + 1}, batch ${batch + 1}`);
    const partial = this.#partial;
    this.#partial = {
      ...partial,
      loss: partial.loss + loss * images,
      correct: partial.correct + correct,
      images: partial.images + images,
    };
  }

  #diverged(what: string): BnnError {
    const { out } = this.#options;
    const kept = this.#hasLearned ? `the last good checkpoint is ${join(out, 'last')}; ` : '';
    return new BnnError('E_NUMERIC', what, { at: out, hint: `${kept}try a lower lr than ${this.#recipe.lr}` });
  }

  /** Evaluates, records and saves a completed epoch; false when interrupted meanwhile (the epoch is then evaluated on resume). */
  async #finishEpoch(): Promise<boolean> {
    await this.#settle();
    await this.#assertSame();
    const { validation: held } = this.#batches;
    const indicators = await this.#learner.measure(this.#epoch);
    const weights = this.#options.onWeights === undefined ? null : await this.#learner.inspect(this.#epoch);
    const test = await this.#evaluate(this.#batches.test);
    const validation = held === null ? null : await this.#evaluate(held);
    this.#agree();
    if (this.#isInterrupted()) return false;
    const { loss, correct, images, seconds, waitMs } = this.#partial;
    const record: EpochRecord = {
      epoch: this.#epoch + 1,
      trainLoss: loss / images,
      trainTop1: correct / images,
      testLoss: test.loss,
      testTop1: test.top1,
      validationTop1: validation?.top1 ?? null,
      lr: this.#learner.learningRate(this.#learner.steps - 1),
      o: this.#learner.o(this.#epoch),
      seconds,
      imagesPerSecond: images / seconds,
      waitShare: waitMs / 1000 / seconds,
      ...(this.#team !== null && { processes: this.#team.size }),
      ...(indicators !== null && { indicators }),
    };
    this.#epoch++;
    this.#batch = 0;
    this.#seconds += seconds;
    this.#partial = EMPTY_EPOCH;
    this.#lastTestTop1 = test.top1;
    const top1 = validation?.top1 ?? test.top1;
    const isBest = this.#best === null || top1 > this.#best.top1;
    if (isBest) this.#best = { epoch: this.#epoch, top1 };
    const labels = Array.from(this.#dataset.test.labels);
    const predictions = labels.map((_, i) => test.predictions[i] ?? -1);
    const confidences = labels.map((_, i) => test.confidences[i] ?? 0);
    await this.#options.onTested?.({ epoch: this.#epoch, isBest, predictions, confidences, labels });
    if (weights !== null) await this.#options.onWeights?.(weights);
    await this.#writer?.record(record, (name) => this.#save(name), isBest);
    await this.#options.onEpoch?.(record);
    this.#agree();
    return !this.#isInterrupted() || this.#isFinished();
  }

  #evaluate(batcher: Batcher) {
    return this.#learner.evaluate(batcher, this.#epoch, this.#options.signal);
  }

  async #save(name: CheckpointName): Promise<void> {
    await this.#settle();
    if (this.#writer === null) return;
    await this.#writer.saveCheckpoint(name, () => this.#checkpoint());
    this.#lastSave = performance.now();
    this.#hasLearned ||= this.#learner.steps > 0;
  }

  /** @throws {BnnError} E_NUMERIC for weights that are no numbers: the loss of a step is that of the weights before it. */
  async #checkpoint(): Promise<Checkpoint> {
    const learned = await this.#learner.save(this.#batch > 0 || this.#epoch === 0 ? null : this.#epoch - 1);
    const bad = parameterWithoutNumber(learned.model);
    if (bad !== null) throw this.#diverged(`${bad} holds numbers that are none after step ${this.#learner.steps}`);
    return {
      ...learned,
      state: {
        epoch: this.#epoch,
        batch: this.#batch,
        step: this.#learner.steps,
        seconds: this.#seconds,
        partial: this.#partial,
        best: this.#best,
        data: this.#dataset.fingerprint,
        recipe: recipeDigest(this.#recipe),
        precision: this.#precision,
      },
    };
  }

  /** Several processes stop where all of them have heard that one wants to. */
  #isInterrupted(): boolean {
    return this.#team === null ? this.#options.signal?.aborted === true : this.#shouldStop;
  }

  #agree(): void {
    if (this.#team !== null) this.#shouldStop ||= this.#team.agree(this.#options.signal?.aborted === true);
  }

  /** Of the steps that are counted: one less than were taken, except at the end of an epoch. */
  #reportStep(epochs: number): void {
    const { loss, correct, images } = this.#partial;
    if (images === 0) return;
    const batches = this.#batches.train.batchesPerEpoch;
    const done = this.#epoch * batches + this.#batch;
    this.#options.onStep?.({
      epoch: this.#epoch + 1,
      epochs,
      batch: this.#batch,
      batches,
      loss: loss / images,
      top1: correct / images,
      imagesPerSecond: this.#trainedImages / this.#trainedSeconds,
      processes: this.#team?.size ?? 1,
      secondsLeft: ((epochs * batches - done) * this.#trainedSeconds) / this.#trainedBatches,
    });
  }
}
