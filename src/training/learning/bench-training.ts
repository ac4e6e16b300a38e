/** Training steps on random pictures, timed phase by phase. */

import { performance } from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import type { SelectedBackend } from '../../backends/select-backend.ts';
import type { InputData, InputTap, RecordedWork, TimedCommand } from '../../backends/step-recorder.ts';
import { usableMemory } from '../../core/machine/memory.ts';
import { Rng } from '../../core/numbers/rng.ts';
import { rowNamed } from '../../core/row-named.ts';
import type { Batch } from '../../data/batches/batch-maker.ts';
import { Batcher } from '../../data/batches/batches.ts';
import type { MemorySplit } from '../../data/dataset.ts';
import type { EstimatorName } from '../../estimators/table.ts';
import type { TrainingPrecision } from '../../kernels/convolution.ts';
import { buildModel, findNetwork } from '../../zoo/zoo.ts';
import { OPTIMIZERS, Optimizer, type OptimizerRow } from '../optimizers/optimizer.ts';
import { createEstimators, type Estimators } from '../program/create-estimators.ts';
import { Program, type RunSettings } from '../program/program.ts';
import { defaultRecipe } from '../recipes/parse-recipe.ts';
import { type KernelCall, KernelTrace } from './kernel-trace.ts';
import { type Learned, lossGradients } from './learn-batch.ts';
import { learnTogether } from './learn-together.ts';
import { type LossResult, readOutcome, softmaxCrossEntropy } from './loss.ts';
import type { ImageSize } from './mix-batch.ts';
import { assertStepFits } from './step-memory.ts';
import { StepReplay } from './step-replay.ts';
import type { Team } from './team.ts';
import { picturesOf, uploadOf, uploadPictures } from './upload-pictures.ts';

/** `replay` runs recorded commands in place of forward … optimizer; `wait` is for what the device still computes. */
export const PHASES = ['data', 'forward', 'loss', 'backward', 'optimizer', 'replay', 'wait'] as const;
export type Phase = (typeof PHASES)[number];

export interface PhaseSpan {
  readonly phase: Phase;
  readonly beginMs: number;
  readonly durationMs: number;
}

export interface TrainingRound {
  readonly steps: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Processor time of all threads of this process per step: what other processes take from us does not count. */
  readonly processorMs: number;
  /** Milliseconds per step in each phase. */
  readonly phasesMs: Readonly<Record<Phase, number>>;
  /** Milliseconds per step outside of kernels and not waiting for data; null where kernels run asynchronously. */
  readonly outsideKernelsMs: number | null;
  readonly spans: readonly PhaseSpan[];
  readonly calls: readonly KernelCall[];
}

export interface TrainingBenchOptions {
  readonly model: string;
  readonly batch: number;
  readonly backend: SelectedBackend;
  /** As it is after two thirds of its schedule, where ReSTE is the square root. */
  readonly estimator: EstimatorName;
  /** Where other processes have the other parts of each batch; null unless told. */
  readonly team?: Team | null;
  /** Whether kernels are timed one by one, which one bench at a time can do; true unless told. */
  readonly isTraced?: boolean;
  /** With a team: statistics of batch normalization over the whole batch. */
  readonly syncBatchNorm?: boolean;
  /** float32 unless told. */
  readonly precision?: TrainingPrecision;
}

const EPOCHS = 3;
const EPOCH = 2;
const SGD = {
  optimizer: rowNamed<OptimizerRow>(OPTIMIZERS, 'sgd'),
  values: { momentum: 0.9 },
  weightDecay: 1e-4,
  weightDecayOn: 'all',
  clampWeights: 0,
} as const;
const LEARNING_RATE = 0.01;
const SEED = 1;
/** Batches of one pass over the random pictures. */
const BATCHES = 8;

/** A network, an optimizer and random pictures; every round continues where the last one stopped. */
export class TrainingBench {
  readonly #program: Program;
  readonly #optimizer: Optimizer;
  readonly #batcher: Batcher;
  readonly #estimators: Estimators;
  readonly #trace: KernelTrace | null;
  /** Milliseconds in the kernels of replayed steps so far. */
  #replayedMs = 0;
  readonly #replay: StepReplay | null;
  readonly #imageSize: ImageSize;
  readonly #batch: number;
  readonly #team: Team | null;
  readonly #syncBatchNorm: boolean;
  readonly #synchronous: boolean;
  #stream: ReturnType<Batcher['epoch']>;
  #epoch = 0;
  #pending: Promise<unknown> | null = null;

  /** @throws {BnnError} E_NOT_FOUND for an unknown network, E_UNSUPPORTED for one that the backend cannot train. */
  constructor({ model, batch, backend, estimator, ...options }: TrainingBenchOptions) {
    const { team = null, syncBatchNorm = false, isTraced = true, precision = 'float32' } = options;
    this.#team = team;
    this.#syncBatchNorm = syncBatchNorm;
    this.#synchronous = backend.capabilities.synchronous;
    const { input, classes } = findNetwork(model);
    const network = buildModel(model, { seed: SEED });
    this.#batch = batch;
    this.#imageSize = input;
    this.#program = new Program(network, { ...backend.capabilities, precision });
    assertFits(this.#program, team?.shareOf(batch) ?? batch, backend);
    this.#optimizer = new Optimizer(this.#program, SGD);
    this.#estimators = createEstimators({ ...defaultRecipe(), estimator, epochs: EPOCHS });
    this.#trace = backend.capabilities.synchronous && isTraced ? new KernelTrace(backend.name) : null;
    const { recorder } = backend;
    this.#replay =
      recorder === undefined || team !== null || this.#estimators.learned.length > 0 ? null : new StepReplay(recorder);
    this.#batcher = new Batcher(randomPictures(batch * BATCHES, input, classes), {
      batchSize: batch,
      seed: SEED,
      augment: { padCrop: 4, flip: true },
      shuffle: true,
      prefetch: 4,
      asBytes: backend.capabilities.deviceMemory,
      part: team?.part,
    });
    this.#stream = this.#batcher.epoch(0);
  }

  /** Takes so many steps: next batch, forward, loss, backward, optimizer. */
  async round(steps: number): Promise<TrainingRound> {
    this.#trace?.take();
    const kernelsBefore = this.#kernelsMs;
    const spans: PhaseSpan[] = [];
    const used = process.cpuUsage();
    const begin = performance.now();
    for (let i = 0; i < steps; i++) await this.#step(spans);
    await this.#settle();
    const elapsedMs = performance.now() - begin;
    const { user, system } = process.cpuUsage(used);
    const phasesMs = Object.fromEntries(
      PHASES.map((phase) => [
        phase,
        spans.reduce((sum, span) => sum + (span.phase === phase ? span.durationMs : 0), 0) / steps,
      ]),
    ) as Record<Phase, number>;
    const inKernels = this.#trace === null ? null : (this.#kernelsMs - kernelsBefore) / steps;
    return {
      steps,
      seconds: elapsedMs / 1000,
      imagesPerSecond: (steps * this.#batch) / (elapsedMs / 1000),
      processorMs: (user + system) / 1000 / steps,
      phasesMs,
      outsideKernelsMs: inKernels === null ? null : elapsedMs / steps - inKernels - phasesMs.data,
      spans,
      calls: this.#trace?.take() ?? [],
    };
  }

  /** Takes a step and measures each of its commands; null where nothing was recorded, or the device has no clock. */
  async profile(): Promise<TimedCommand[] | null> {
    await this.#settle();
    if (this.#replay === null) return null;
    const batch = await this.#next();
    const inputs = [uploadOf(picturesOf(batch)), batch.labels];
    const numbers = { lr: LEARNING_RATE, step: this.#optimizer.step + 1 };
    const commands = await this.#replay.profile('', inputs, numbers, this.#state());
    if (commands !== null) this.#optimizer.advance();
    return commands;
  }

  async close(): Promise<void> {
    await this.#pending?.catch(() => {});
    await this.#stream.close();
    await this.#batcher.close();
    this.#trace?.dispose();
    this.#replay?.drop();
    for (const estimator of this.#estimators.learned) estimator.dispose();
    this.#optimizer.dispose();
    this.#program.dispose();
  }

  async #step(spans: PhaseSpan[]): Promise<void> {
    let last = performance.now();
    const mark = (phase: Phase): void => {
      const now = performance.now();
      spans.push({ phase, beginMs: last, durationMs: now - last });
      last = now;
    };
    const batch = await this.#next();
    mark('data');
    const run = async (input: InputTap): Promise<tf.Tensor> => {
      const learn = (joint: Partial<RunSettings>) =>
        lossGradients(this.#program, { ...this.#estimators.at(EPOCH), ...joint }, () => {
          const images = uploadPictures(picturesOf(batch), batch.count, this.#imageSize, input);
          const labels = input(tf.tensor1d(batch.labels, 'int32'));
          const loss = (logits: tf.Tensor): LossResult => {
            mark('forward');
            const result = softmaxCrossEntropy(logits, labels, 0, { total: batch.whole.count });
            mark('loss');
            return result;
          };
          return { images, loss };
        });
      const { figures, gradients } =
        this.#team === null ? await learn({}) : await this.#together(this.#team, batch, learn);
      mark('backward');
      this.#optimizer.apply(gradients, LEARNING_RATE);
      mark('optimizer');
      return figures;
    };
    const outcome = await this.#take([uploadOf(picturesOf(batch)), batch.labels], run);
    if (outcome.isReplay) mark('replay');
    outcome.figures.catch(() => {});
    // As in training: the figures of a step are waited for after the next one.
    await this.#settle();
    this.#pending = outcome.figures;
    mark('wait');
    this.#batcher.recycle(batch);
  }

  async #together(team: Team, { count, whole }: Batch, learn: Parameters<typeof learnTogether>[3]): Promise<Learned> {
    const step = { count, total: whole.count, syncBatchNorm: this.#syncBatchNorm, synchronous: this.#synchronous };
    const { gradients, outcome } = await learnTogether(team, this.#program, { ...step, shouldStop: false }, learn);
    const { loss, correct } = outcome();
    return { gradients, figures: tf.tensor1d([loss, correct]) };
  }

  async #take(
    data: InputData[],
    run: RecordedWork['run'],
  ): Promise<{ readonly figures: Promise<unknown>; readonly isReplay: boolean }> {
    if (this.#replay === null) return { figures: readOutcome(await run((t) => t)), isReplay: false };
    const state = () => this.#state();
    const numbers = { lr: LEARNING_RATE, step: this.#optimizer.step + 1 };
    const { result, isReplay } = await this.#replay.take('', data, numbers, { state, run });
    if (isReplay) {
      this.#optimizer.advance();
      for (const { ms } of this.#replay.lastCommands() ?? []) this.#replayedMs += ms;
    }
    return { figures: result, isReplay };
  }

  get #kernelsMs(): number {
    return (this.#trace?.totalMs ?? 0) + this.#replayedMs;
  }

  #state(): tf.Tensor[] {
    return [...this.#program.tensors(), ...this.#optimizer.tensors()];
  }

  async #settle(): Promise<void> {
    const pending = this.#pending;
    this.#pending = null;
    await pending;
  }

  async #next(): Promise<Batch> {
    const result = await this.#stream.next();
    if (result.done !== true) return result.value;
    this.#stream = this.#batcher.epoch(++this.#epoch);
    return this.#next();
  }
}

/** @throws {BnnError} E_BACKEND when a step cannot fit into memory. */
function assertFits(program: Program, batch: number, { isGpu }: SelectedBackend): void {
  try {
    const limit = isGpu ? Infinity : usableMemory();
    assertStepFits((count) => 4 * program.peakElements(count, true), batch, limit, '--batch');
  } catch (error) {
    program.dispose();
    throw error;
  }
}

function randomPictures(
  count: number,
  { height, width, channels }: { readonly height: number; readonly width: number; readonly channels: number },
  classes: number,
): MemorySplit {
  const rng = new Rng(SEED);
  const images = new Uint8Array(new SharedArrayBuffer(count * height * width * channels));
  for (let i = 0; i < images.length; i++) images[i] = rng.uint32() & 0xff;
  const labels = new Int32Array(new SharedArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) labels[i] = rng.below(classes);
  const mean = Array.from({ length: channels }, () => 0.5);
  const std = Array.from({ length: channels }, () => 0.29);
  return { kind: 'memory', count, height, width, channels, mean, std, images, labels };
}
