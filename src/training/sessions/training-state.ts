/** `state.json` of a checkpoint: where a run stands. */

import { BnnError } from '../../errors.ts';
import type { TrainingPrecision } from '../../kernels/convolution.ts';
import type { Recipe } from '../recipes/recipe.ts';

/** Sums over the batches of an unfinished epoch. */
export interface PartialEpoch {
  readonly loss: number;
  readonly correct: number;
  readonly images: number;
  readonly seconds: number;
  readonly waitMs: number;
}

export interface BestEpoch {
  /** Counts from 1. */
  readonly epoch: number;
  readonly top1: number;
}

/** Shuffling and augmentation follow from the seed, the epoch and the batch, so no generator state is needed. */
export interface TrainingState {
  /** Epochs completed. */
  readonly epoch: number;
  /** Batches done of the epoch under way. */
  readonly batch: number;
  /** Optimizer steps taken. */
  readonly step: number;
  /** Seconds of training over all completed epochs. */
  readonly seconds: number;
  readonly partial: PartialEpoch;
  readonly best: BestEpoch | null;
  /** Fingerprint of the data set. */
  readonly data: string;
  /** Of the recipe, as `recipeDigest` makes it; not in states of earlier versions. */
  readonly recipe?: string | undefined;
  /** What gradients of binary layers were multiplied in last; not in states of earlier versions. */
  readonly precision?: TrainingPrecision | undefined;
}

const FIELDS: Readonly<Record<keyof TrainingState, (value: unknown) => boolean>> = {
  epoch: isCount,
  batch: isCount,
  step: isCount,
  seconds: isAmount,
  partial: (value) =>
    isObject(value) &&
    [value['correct'], value['images']].every(isCount) &&
    [value['loss'], value['seconds'], value['waitMs']].every(isAmount),
  best: (value) => value === null || (isObject(value) && isCount(value['epoch']) && isShare(value['top1'])),
  data: (value) => typeof value === 'string',
  recipe: (value) => value === undefined || typeof value === 'string',
  precision: (value) => value === undefined || typeof value === 'string',
};

/** @throws {BnnError} E_FORMAT that names the field. */
export function checkStateFields(fields: Readonly<Record<string, unknown>>, at: string): TrainingState {
  for (const [name, isRight] of Object.entries(FIELDS)) {
    if (!isRight(fields[name])) fail(`${name} is ${JSON.stringify(fields[name]) ?? 'missing'}`, at);
  }
  const unknown = Object.keys(fields).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined)
    fail(`it has a field "${unknown}", which is none of ${Object.keys(FIELDS).join(', ')}`, at);
  return fields as unknown as TrainingState;
}

/**
 * Checks that a run by this recipe can stand there.
 *
 * @throws {BnnError} E_FORMAT that names what contradicts what.
 */
export function checkStateFits(state: TrainingState, recipe: Recipe, batchesPerEpoch: number, at: string): void {
  const { epoch, batch, step, partial, best } = state;
  const { epochs, batchSize } = recipe;
  if (epoch > epochs) fail(`epoch is ${epoch}, the recipe has ${epochs}`, at);
  if (batch > batchesPerEpoch) fail(`batch is ${batch}, an epoch has ${batchesPerEpoch}`, at);
  const done = epoch * batchesPerEpoch + batch;
  // Where pictures are skipped, whole batches may be.
  const canSkip = recipe.brokenImages === 'skip';
  if (canSkip ? step > done : step !== done) {
    fail(`step is ${step}, but ${epoch} epochs of ${batchesPerEpoch} batches and ${batch} more are ${done}`, at);
  }
  const { images, correct } = partial;
  const most = batch * batchSize;
  const isWhole = canSkip || batch === batchesPerEpoch || images === most;
  if (images > most || correct > images || !isWhole) {
    fail(`partial counts ${correct} right of ${images} pictures, ${batch} batches have ${most}`, at);
  }
  if ((best === null) !== (epoch === 0) || (best !== null && (best.epoch < 1 || best.epoch > epoch))) {
    fail(`the best epoch is ${best?.epoch ?? 'missing'} of ${epoch}`, at);
  }
}

function fail(what: string, at: string): never {
  throw new BnnError('E_FORMAT', `the training state is damaged: ${what}`, {
    at,
    hint: 'take the checkpoint from a copy, or start a new run with another --out',
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value);
}

function isShare(value: unknown): boolean {
  return isAmount(value) && (value as number) <= 1;
}
