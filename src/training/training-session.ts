/** One run while it runs: network, optimizer, data and where they stand. */

import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { explainOutOfMemory, isOutOfMemory } from '../backends/out-of-memory.ts';
import type { SelectedBackend } from '../backends/select-backend.ts';
import type { Batch } from '../data/batch-maker.ts';
import { Batcher } from '../data/batches.ts';
import type { Dataset } from '../data/dataset.ts';
import { holdOut } from '../data/hold-out.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { type BestEpoch, type Checkpoint, type PartialEpoch, saveCheckpoint } from './checkpoint-io.ts';
import { clipGradients } from './clip-gradients.ts';
import { createEstimators } from './create-estimators.ts';
import { evaluate } from './evaluate.ts';
import { appendHistory, type EpochRecord, truncateHistory } from './history-io.ts';
import { IndicatorProbe } from './indicator-probe.ts';
import type { EpochIndicators } from './indicators.ts';
import { normalizationOf } from './initial-model.ts';
import { LatentWeights } from './latent-weights.ts';
import { type Learned, learnBatch, type Pictures } from './learn-batch.ts';
import type { Outcome } from './loss.ts';
import { Optimizer } from './optimizer.ts';
import { Program, type RunSettings } from './program.ts';
import type { Recipe } from './recipe.ts';
import { removeLeftovers, writeRecipe } from './run-folder-io.ts';
import { learningRate } from './schedule.ts';
import type { TrainOptions, TrainResult } from './train-options.ts';
import { WeightAverage } from './weight-average.ts';

const EMPTY_EPOCH: PartialEpoch = { loss: 0, correct: 0, images: 0, seconds: 0, waitMs: 0 };
const EVALUATION_BATCH = 250;
const PREFETCH_BATCHES = 4;

/** A step that the device may still be computing. */
interface Pending {
  readonly epoch: number;
  readonly batch: Pick<Batch, 'index' | 'count'>;
  readonly outcome: Promise<Outcome>;
}

export class TrainingSession {
  readonly #recipe: Recipe;
  readonly #options: TrainOptions;
  readonly #dataset: Dataset;
  readonly #backend: SelectedBackend;
  readonly #program: Program;
  readonly #weights: LatentWeights;
  readonly #optimizer: Optimizer;
  readonly #average: WeightAverage | null;
  readonly #probe: IndicatorProbe | null;
  readonly #batches: Batcher;
  readonly #test: Batcher;
  readonly #validation: Batcher | null;
  readonly #estimators: ReturnType<typeof createEstimators>;
  #epoch: number;
  #batch: number;
  #seconds: number;
  /** Without the pending step. */
  #partial: PartialEpoch;
  #pending: Pending | null = null;
  #indicators: EpochIndicators | null;
  #best: BestEpoch | null;
  #lastTestTop1 = Number.NaN;
  #trainedImages = 0;
  #trainedSeconds = 0;
  #lastSave = performance.now();

  /** @param model the network to train: fresh, or the checkpoint's. */
  constructor(
    recipe: Recipe,
    options: TrainOptions,
    dataset: Dataset,
    backend: SelectedBackend,
    model: Model,
    checkpoint: Checkpoint | null,
  ) {
    this.#recipe = recipe;
    this.#options = options;
    this.#dataset = dataset;
    this.#backend = backend;
    this.#estimators = createEstimators(recipe);
    this.#program = new Program(model, { explicitPadding: backend.name !== 'tensorflow' });
    this.#weights = new LatentWeights(this.#program, recipe.weightTransform);
    this.#optimizer = new Optimizer(this.#weights, recipe);
    this.#average = recipe.emaDecay > 0 ? new WeightAverage(this.#weights, recipe.emaDecay) : null;
    const { surrogate } = this.#estimators.at(recipe.epochs).weightEstimator;
    this.#probe = recipe.indicators ? new IndicatorProbe(this.#program, { surrogate, seed: recipe.seed }) : null;
    const state = checkpoint?.state;
    this.#epoch = state?.epoch ?? 0;
    this.#batch = state?.batch ?? 0;
    this.#seconds = state?.seconds ?? 0;
    this.#partial = state?.partial ?? EMPTY_EPOCH;
    this.#indicators = state?.indicators ?? null;
    this.#best = state?.best ?? null;
    // A model between two epochs keeps the weights that were evaluated.
    if (this.#epoch === 0 || this.#batch > 0) this.#weights.setEpoch(this.#epoch, recipe.epochs);
    if (checkpoint !== null) this.#restore(checkpoint);

    const { train, held } =
      recipe.validation > 0
        ? holdOut(dataset.train, recipe.validation, recipe.seed)
        : { train: dataset.train, held: null };
    const { seed, batchSize, padCrop, flip, cropScale, brokenImages: onBroken } = recipe;
    const normalize = recipe.init === '' ? recipe.normalize : normalizationOf(model);
    const augment = padCrop > 0 || flip || cropScale > 0 ? { padCrop, flip, cropScale } : null;
    this.#batches = new Batcher(train, {
      batchSize,
      seed,
      normalize,
      augment,
      shuffle: true,
      prefetch: PREFETCH_BATCHES,
      onBroken,
      onBrokenImage: options.onBrokenImage,
    });
    const evaluation = {
      batchSize: EVALUATION_BATCH,
      normalize,
      prefetch: PREFETCH_BATCHES,
      onBroken,
      onBrokenImage: options.onBrokenImage,
    };
    this.#test = new Batcher(dataset.test, evaluation);
    this.#validation = held === null ? null : new Batcher(held, evaluation);
  }

  async run(): Promise<TrainResult> {
    const { out } = this.#options;
    if (this.#options.resume === true) {
      await removeLeftovers(out);
      await truncateHistory(join(out, 'history.jsonl'), this.#epoch);
    }
    this.#options.onStart?.({
      recipe: this.#recipe,
      dataset: this.#dataset,
      backend: this.#backend,
      parameters: this.#countParameters(),
      stepsPerEpoch: this.#batches.batchesPerEpoch,
      from: { epoch: this.#epoch, batch: this.#batch },
      isComplete: this.#isFinished(),
    });
    // Shows, before any work is done, that the folder can be written and has room.
    await this.#save('last');
    await writeRecipe(out, this.#recipe);
    let interrupted = false;
    while (!this.#isFinished() && !interrupted) interrupted = !(await this.#trainEpoch());
    if (interrupted) await this.#save('last');
    else if (Number.isNaN(this.#lastTestTop1)) this.#lastTestTop1 = (await this.#evaluate(this.#test)).top1;
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

  async close(): Promise<void> {
    // After a failure its figures no longer matter, but its tensors do.
    await this.#pending?.outcome.catch(() => {});
    await Promise.all([this.#batches.close(), this.#test.close(), this.#validation?.close()]);
    this.#probe?.dispose();
    this.#average?.dispose();
    this.#optimizer.dispose();
    for (const learned of this.#estimators.learned) learned.dispose();
    this.#weights.dispose();
    this.#program.dispose();
  }

  #isFinished(): boolean {
    const { epochs, patience } = this.#recipe;
    const sinceBest = this.#best === null ? 0 : this.#epoch - this.#best.epoch;
    return this.#epoch >= epochs || (patience > 0 && sinceBest >= patience);
  }

  /** Trains the rest of the current epoch; false when interrupted. */
  async #trainEpoch(): Promise<boolean> {
    const { epochs, checkpointMinutes } = this.#recipe;
    this.#weights.setEpoch(this.#epoch, epochs);
    if (this.#batch === 0) await this.#probe?.begin();
    const stream = this.#batches.epoch(this.#epoch, this.#batch);
    let begin = performance.now();
    let waited = 0;
    for await (const batch of stream) {
      await this.#trainStep(batch);
      this.#batches.recycle(batch);
      this.#batch = batch.index + 1;
      const finished = this.#batch === this.#batches.batchesPerEpoch;
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
      this.#trainedImages += batch.count;
      this.#reportStep(epochs);
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

  #learningRate(step: number): number {
    const { lr, epochs, warmupEpochs } = this.#recipe;
    const perEpoch = this.#batches.batchesPerEpoch;
    return learningRate(this.#recipe.schedule, lr, step, epochs * perEpoch, Math.round(warmupEpochs * perEpoch), {
      factor: this.#recipe.stepFactor,
      steps: Math.max(1, Math.round(this.#recipe.stepEpochs * perEpoch)),
    });
  }

  /** Gives a step to the device, then waits for the one before: the device always has work. */
  async #trainStep(batch: Batch): Promise<void> {
    const probe = batch.index + 1 === this.#batches.batchesPerEpoch ? this.#probe : null;
    const randomness = [this.#recipe.seed, this.#epoch, batch.index];
    const { outcome } = await this.#explained(async () => {
      const learned = await this.#learn(batch, { ...this.#settings(), randomness, observe: probe?.observe });
      await this.#update(learned, probe);
      return learned;
    });
    await this.#settle();
    this.#pending = { epoch: this.#epoch, batch: { index: batch.index, count: batch.count }, outcome };
  }

  async #learn(batch: Pictures, settings: RunSettings): Promise<Learned> {
    const { teacher } = this.#options;
    const options = { ...this.#recipe, epoch: this.#epoch, teacher };
    const learned = await learnBatch(this.#program, batch, this.#dataset, settings, options);
    // Awaited in `#settle`; until then, and after a failure elsewhere, a rejection is not unhandled.
    learned.outcome.catch(() => {});
    return learned;
  }

  async #update(learned: Learned, probe: IndicatorProbe | null): Promise<void> {
    let gradients = this.#weights.toLatent(learned.gradients);
    await probe?.addGradients(gradients);
    const { clipGradients: limit } = this.#recipe;
    if (limit > 0) gradients = await clipGradients(gradients, limit);
    const lr = this.#learningRate(this.#optimizer.step);
    this.#optimizer.apply(gradients, lr);
    for (const sharpness of this.#estimators.learned) await sharpness.apply(lr, this.#optimizer.step);
    this.#average?.update(this.#optimizer.step);
    if (probe !== null) this.#indicators = await probe.finish(this.#epoch);
  }

  /**
   * Counts the pending step. No checkpoint is written without this, so none holds weights of a step whose loss was not a number.
   *
   * @throws {BnnError} E_NUMERIC when it was not.
   */
  async #settle(): Promise<void> {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    const { loss, correct } = await this.#explained(() => pending.outcome);
    const { epoch, batch } = pending;
    if (!Number.isFinite(loss)) {
      throw new BnnError('E_NUMERIC', `the loss became ${loss} in epoch ${epoch + 1}, batch ${batch.index + 1}`, {
        at: this.#options.out,
        hint: `the last good checkpoint is ${join(this.#options.out, 'last')}; try a lower lr than ${this.#recipe.lr}`,
      });
    }
    const partial = this.#partial;
    this.#partial = {
      ...partial,
      loss: partial.loss + loss * batch.count,
      correct: partial.correct + correct,
      images: partial.images + batch.count,
    };
  }

  /** Where the device has too little memory for `work`, the error names a batch size that fits. */
  async #explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      throw await explainOutOfMemory(error, this.#recipe.batchSize, async (count) => {
        const { height, width, channels } = this.#dataset;
        const images = new Float32Array(count * height * width * channels);
        const learned = await this.#learn({ images, labels: new Int32Array(count), count, index: 0 }, this.#settings());
        // The run is over, so the weights may change.
        await this.#update(learned, null);
        await learned.outcome;
      });
    }
  }

  /** Evaluates, records and saves a completed epoch; false when interrupted meanwhile (the epoch is then evaluated on resume). */
  async #finishEpoch(): Promise<boolean> {
    const test = await this.#evaluate(this.#test);
    const validation = this.#validation === null ? null : await this.#evaluate(this.#validation);
    if (this.#isInterrupted()) return false;
    const { loss, correct, images, seconds, waitMs } = this.#partial;
    const record: EpochRecord = {
      epoch: this.#epoch + 1,
      trainLoss: loss / images,
      trainTop1: correct / images,
      testLoss: test.loss,
      testTop1: test.top1,
      validationTop1: validation?.top1 ?? null,
      lr: this.#learningRate(this.#optimizer.step - 1),
      o: this.#estimators.o(this.#epoch),
      seconds,
      imagesPerSecond: images / seconds,
      waitShare: waitMs / 1000 / seconds,
      ...(this.#indicators !== null && { indicators: this.#indicators }),
    };
    this.#epoch++;
    this.#batch = 0;
    this.#seconds += seconds;
    this.#partial = EMPTY_EPOCH;
    this.#indicators = null;
    this.#lastTestTop1 = test.top1;
    const top1 = validation?.top1 ?? test.top1;
    const isBest = this.#best === null || top1 > this.#best.top1;
    if (isBest) this.#best = { epoch: this.#epoch, top1 };
    // `last` comes last: a run killed before it repeats the epoch, and a resumed run drops the records of epochs that it repeats.
    await appendHistory(join(this.#options.out, 'history.jsonl'), record);
    if (isBest) await this.#save('best');
    await this.#save('last');
    this.#options.onEpoch?.(record);
    return !this.#isInterrupted() || this.#isFinished();
  }

  #evaluate(batcher: Batcher) {
    const { signal } = this.#options;
    return this.#deployed(() => evaluate(this.#program, batcher, this.#dataset, this.#settings(), signal));
  }

  /** Runs `work` with the weights that count: the averaged ones, where there are any. */
  #deployed<T>(work: () => Promise<T>): Promise<T> {
    return this.#average === null ? work() : this.#average.during(work);
  }

  async #save(name: 'last' | 'best'): Promise<void> {
    await this.#settle();
    const weights = await (this.#average ?? this.#weights).save();
    const probe = this.#batch > 0 ? this.#probe?.save() : undefined;
    const learned = this.#estimators.learned.flatMap((estimator) => [...estimator.save()]);
    await saveCheckpoint(join(this.#options.out, name), {
      model: await this.#deployed(() => this.#program.save()),
      optimizer: new Map([...(await this.#optimizer.save()), ...weights, ...(probe ?? []), ...learned]),
      state: {
        version: 1,
        epoch: this.#epoch,
        batch: this.#batch,
        step: this.#optimizer.step,
        seconds: this.#seconds,
        partial: this.#partial,
        best: this.#best,
        data: this.#dataset.fingerprint,
        ...(this.#indicators !== null && { indicators: this.#indicators }),
      },
    });
    this.#lastSave = performance.now();
  }

  #restore({ optimizer, state }: Checkpoint): void {
    const at = join(this.#options.out, 'last', 'optimizer.safetensors');
    (this.#average ?? this.#weights).restore(optimizer, at);
    this.#optimizer.restore(optimizer, state.step, at);
    for (const learned of this.#estimators.learned) learned.restore(optimizer);
    if (state.batch > 0) this.#probe?.restore(optimizer, at);
  }

  #settings(): RunSettings {
    return this.#estimators.at(this.#epoch);
  }

  #isInterrupted(): boolean {
    return this.#options.signal?.aborted === true;
  }

  #countParameters(): number {
    let count = 0;
    for (const { role, shape } of this.#program.parameters.values()) {
      if (role !== 'buffer') count += shape.reduce((a, b) => a * b, 1);
    }
    return count;
  }

  /** Of the steps that are counted: one less than were taken, except at the end of an epoch. */
  #reportStep(epochs: number): void {
    const { loss, correct, images } = this.#partial;
    if (images === 0) return;
    const batches = this.#batches.batchesPerEpoch;
    const done = this.#epoch * batches + this.#batch;
    const imagesPerSecond = this.#trainedImages / this.#trainedSeconds;
    this.#options.onStep?.({
      epoch: this.#epoch + 1,
      epochs,
      batch: this.#batch,
      batches,
      loss: loss / images,
      top1: correct / images,
      imagesPerSecond,
      secondsLeft: ((epochs * batches - done) * this.#recipe.batchSize) / imagesPerSecond,
    });
  }
}
