/** A training run: recipe in, run folder out. */

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { type SelectedBackend, selectBackend } from '../backends/select-backend.ts';
import { encodePreprocessing, PREPROCESSING_KEY } from '../core/preprocessing.ts';
import type { Batch } from '../data/batch-maker.ts';
import { Batcher } from '../data/batches.ts';
import type { Dataset, LoadProgress } from '../data/dataset.ts';
import { holdOut } from '../data/hold-out.ts';
import { loadDataset } from '../data/load-dataset.ts';
import { resolveNormalization } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { buildModel } from '../zoo/zoo.ts';
import { type BestEpoch, type Checkpoint, loadCheckpoint, type PartialEpoch, saveCheckpoint } from './checkpoint-io.ts';
import { createEstimators } from './create-estimators.ts';
import { evaluate } from './evaluate.ts';
import { appendHistory, type EpochRecord, truncateHistory } from './history-io.ts';
import { softmaxCrossEntropy } from './loss.ts';
import { Optimizer } from './optimizer.ts';
import { Program } from './program.ts';
import type { Recipe } from './recipe.ts';
import { checkRunFolder, writeRecipe } from './run-folder-io.ts';
import { learningRate } from './schedule.ts';

export interface Opening {
  readonly recipe: Recipe;
  readonly dataset: Dataset;
  readonly backend: SelectedBackend;
  readonly parameters: number;
  readonly stepsPerEpoch: number;
  /** Where a resumed run continues; both 0 for a new one. */
  readonly from: { readonly epoch: number; readonly batch: number };
}

export interface StepProgress {
  readonly epoch: number;
  readonly epochs: number;
  readonly batch: number;
  readonly batches: number;
  /** Means over the epoch so far. */
  readonly loss: number;
  readonly top1: number;
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
}

export interface TrainListeners {
  readonly onData?: (progress: LoadProgress) => void;
  readonly onStart?: (opening: Opening) => void;
  readonly onStep?: (progress: StepProgress) => void;
  readonly onEpoch?: (record: EpochRecord) => void;
}

export interface TrainOptions extends TrainListeners {
  /** The run folder. */
  readonly out: string;
  /** Continue the run in `out`; its recipe must be the given one. */
  readonly resume?: boolean;
  /** Stops after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
}

export interface TrainResult {
  readonly run: string;
  readonly epochs: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly testTop1: number;
  readonly best: BestEpoch | null;
  readonly interrupted: boolean;
}

const EMPTY_EPOCH: PartialEpoch = { loss: 0, correct: 0, images: 0, seconds: 0, waitMs: 0 };
const EVALUATION_BATCH = 250;
const PREFETCH_BATCHES = 4;

/**
 * Trains by a recipe.
 *
 * @throws {BnnError} for everything that a user can cause: a missing data set, a network that does not fit it, an existing run folder,
 *   a loss that is not a number (E_NUMERIC; the last good checkpoint stays), a full disk (likewise).
 */
export async function train(recipe: Recipe, options: TrainOptions): Promise<TrainResult> {
  const lastFolder = join(options.out, 'last');
  const checkpoint = options.resume === true ? await loadCheckpoint(lastFolder) : null;
  await checkRunFolder(options.out, recipe, options.resume === true);
  const backend = await selectBackend(recipe.backend, { threads: recipe.threads || availableParallelism() });
  const dataset = await loadDataset(recipe.dataset, {
    dir: recipe.data || undefined,
    download: recipe.download,
    limitTrain: recipe.limitTrain || undefined,
    limitTest: recipe.limitTest || undefined,
    imageSize: recipe.dataset === 'image-folder' ? recipe.imageSize : undefined,
    onProgress: options.onData,
  });
  if (checkpoint !== null && checkpoint.state.data !== dataset.fingerprint) {
    throw new BnnError('E_FORMAT', 'the data set is not the one that the run was started with', {
      at: dataset.root,
      hint: 'give the same data and limits, or start a new run with another --out',
    });
  }
  const session = new TrainingSession(recipe, options, dataset, backend, checkpoint);
  try {
    return await session.run();
  } finally {
    await session.close();
  }
}

function createModel(recipe: Recipe, dataset: Dataset): Model {
  const { channels, height, width, classes } = dataset;
  if (height !== width) {
    throw new BnnError('E_SHAPE', `pictures of ${height}×${width}, the zoo's networks take square ones`);
  }
  const model = buildModel(recipe.model, { seed: recipe.seed, classes: classes.length, channels, imageSize: height });
  const statistics = resolveNormalization(recipe.normalize, dataset);
  model.metadata.set(
    PREPROCESSING_KEY,
    encodePreprocessing({ dataset: dataset.name, mean: statistics.mean, std: statistics.std, classes }),
  );
  return model;
}

class TrainingSession {
  readonly #recipe: Recipe;
  readonly #options: TrainOptions;
  readonly #dataset: Dataset;
  readonly #backend: SelectedBackend;
  readonly #program: Program;
  readonly #optimizer: Optimizer;
  readonly #batches: Batcher;
  readonly #test: Batcher;
  readonly #validation: Batcher | null;
  readonly #estimators: ReturnType<typeof createEstimators>;
  #epoch: number;
  #batch: number;
  #seconds: number;
  #partial: PartialEpoch;
  #best: BestEpoch | null;
  #lastTestTop1 = Number.NaN;
  #trainedImages = 0;
  #trainedSeconds = 0;
  #lastSave = performance.now();

  constructor(
    recipe: Recipe,
    options: TrainOptions,
    dataset: Dataset,
    backend: SelectedBackend,
    checkpoint: Checkpoint | null,
  ) {
    this.#recipe = recipe;
    this.#options = options;
    this.#dataset = dataset;
    this.#backend = backend;
    this.#estimators = createEstimators(recipe);
    const model = checkpoint?.model ?? createModel(recipe, dataset);
    this.#program = new Program(model, { explicitPadding: backend.name !== 'tensorflow' });
    this.#optimizer = new Optimizer(this.#program, recipe);
    if (checkpoint !== null) {
      const at = join(options.out, 'last', 'optimizer.safetensors');
      this.#optimizer.restore(checkpoint.optimizer, checkpoint.state.step, at);
    }
    const { train, held } =
      recipe.validation > 0
        ? holdOut(dataset.train, recipe.validation, recipe.seed)
        : { train: dataset.train, held: null };
    const { seed, batchSize, normalize, padCrop, flip } = recipe;
    const augment = padCrop > 0 || flip ? { padCrop, flip } : null;
    this.#batches = new Batcher(train, {
      batchSize,
      seed,
      normalize,
      augment,
      shuffle: true,
      prefetch: PREFETCH_BATCHES,
    });
    const evaluation = { batchSize: EVALUATION_BATCH, normalize, prefetch: PREFETCH_BATCHES };
    this.#test = new Batcher(dataset.test, evaluation);
    this.#validation = held === null ? null : new Batcher(held, evaluation);
    this.#epoch = checkpoint?.state.epoch ?? 0;
    this.#batch = checkpoint?.state.batch ?? 0;
    this.#seconds = checkpoint?.state.seconds ?? 0;
    this.#partial = checkpoint?.state.partial ?? EMPTY_EPOCH;
    this.#best = checkpoint?.state.best ?? null;
  }

  async run(): Promise<TrainResult> {
    const { out } = this.#options;
    if (this.#options.resume === true) await truncateHistory(join(out, 'history.jsonl'), this.#epoch);
    this.#options.onStart?.({
      recipe: this.#recipe,
      dataset: this.#dataset,
      backend: this.#backend,
      parameters: this.#countParameters(),
      stepsPerEpoch: this.#batches.batchesPerEpoch,
      from: { epoch: this.#epoch, batch: this.#batch },
    });
    // Also shows, before any work is done, that the folder can be written.
    if (this.#epoch === 0 && this.#batch === 0) await this.#save('last');
    if (this.#options.resume !== true) await writeRecipe(out, this.#recipe);
    let interrupted = false;
    while (this.#epoch < this.#recipe.epochs && !interrupted) interrupted = !(await this.#trainEpoch());
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
    await Promise.all([this.#batches.close(), this.#test.close(), this.#validation?.close()]);
    this.#program.dispose();
    this.#optimizer.dispose();
  }

  /** Trains the rest of the current epoch; false when interrupted. */
  async #trainEpoch(): Promise<boolean> {
    const { epochs, checkpointMinutes } = this.#recipe;
    const stream = this.#batches.epoch(this.#epoch, this.#batch);
    let begin = performance.now();
    let waited = 0;
    for await (const batch of stream) {
      await this.#trainStep(batch);
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
      this.#batch = batch.index + 1;
      this.#reportStep(epochs);
      await yieldToEventLoop();
      const finished = this.#batch === this.#batches.batchesPerEpoch;
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
    const { schedule, lr, epochs, warmupEpochs } = this.#recipe;
    const perEpoch = this.#batches.batchesPerEpoch;
    return learningRate(schedule, lr, step, epochs * perEpoch, Math.round(warmupEpochs * perEpoch));
  }

  async #trainStep(batch: Batch): Promise<void> {
    const { height, width, channels } = this.#dataset;
    const x = tf.tensor4d(batch.images, [batch.count, height, width, channels]);
    const labels = tf.tensor1d(batch.labels, 'int32');
    const { loss, gradients } = this.#program.differentiate(x, this.#settings(), (logits) => {
      const result = softmaxCrossEntropy(logits, labels, this.#recipe.labelSmoothing);
      return { loss: result, dlogits: result.dlogits };
    });
    const lossNow = (await loss.loss.data())[0] ?? Number.NaN;
    const correct = (await loss.correct.data())[0] ?? 0;
    tf.dispose([x, labels, loss.loss, loss.correct]);
    if (!Number.isFinite(lossNow)) {
      for (const gradient of gradients.values()) gradient.dispose();
      throw new BnnError(
        'E_NUMERIC',
        `the loss became ${lossNow} in epoch ${this.#epoch + 1}, batch ${batch.index + 1}`,
        {
          at: this.#options.out,
          hint: `the last good checkpoint is ${join(this.#options.out, 'last')}; try a lower lr than ${this.#recipe.lr}`,
        },
      );
    }
    this.#optimizer.apply(gradients, this.#learningRate(this.#optimizer.step));
    const partial = this.#partial;
    this.#partial = {
      ...partial,
      loss: partial.loss + lossNow * batch.count,
      correct: partial.correct + correct,
      images: partial.images + batch.count,
    };
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
    };
    this.#epoch++;
    this.#batch = 0;
    this.#seconds += seconds;
    this.#partial = EMPTY_EPOCH;
    this.#lastTestTop1 = test.top1;
    const top1 = validation?.top1 ?? test.top1;
    const isBest = this.#best === null || top1 > this.#best.top1;
    if (isBest) this.#best = { epoch: this.#epoch, top1 };
    if (isBest) await this.#save('best');
    await this.#save('last');
    await appendHistory(join(this.#options.out, 'history.jsonl'), record);
    this.#options.onEpoch?.(record);
    return !this.#isInterrupted() || this.#epoch === this.#recipe.epochs;
  }

  #evaluate(batcher: Batcher) {
    return evaluate(this.#program, batcher, this.#dataset, this.#settings(), this.#options.signal);
  }

  async #save(name: 'last' | 'best'): Promise<void> {
    await saveCheckpoint(join(this.#options.out, name), {
      model: await this.#program.save(),
      optimizer: await this.#optimizer.save(),
      state: {
        version: 1,
        epoch: this.#epoch,
        batch: this.#batch,
        step: this.#optimizer.step,
        seconds: this.#seconds,
        partial: this.#partial,
        best: this.#best,
        data: this.#dataset.fingerprint,
      },
    });
    this.#lastSave = performance.now();
  }

  #settings() {
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

  #reportStep(epochs: number): void {
    const { loss, correct, images } = this.#partial;
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
