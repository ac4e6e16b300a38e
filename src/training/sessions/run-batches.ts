/** The batches of a run: for learning, for testing, of the pictures held out, and of the fixed sample on which the network is measured. */

import { Batcher, type BatcherOptions } from '../../data/batches/batches.ts';
import type { Dataset, Split } from '../../data/dataset.ts';
import { holdOut } from '../../data/splits/hold-out.ts';
import { samplePictures } from '../../data/splits/sample-pictures.ts';
import type { Model } from '../../graph/model.ts';
import { needsFloats } from '../learning/learn-batch.ts';
import { evaluationBatch } from '../measures/evaluate.ts';
import { pictureChangeOf } from '../plugins/augmentation.ts';
import type { Parts } from '../recipes/parts.ts';
import { measuresSample, type Recipe } from '../recipes/recipe.ts';
import { normalizationOf } from '../start/initial-model.ts';
import type { TrainOptions } from './train-options.ts';

const PREFETCH_BATCHES = 4;

export interface RunBatches {
  /** Full batches, unless all pictures together do not fill one. */
  readonly train: Batcher;
  readonly test: Batcher;
  readonly validation: Batcher | null;
  /** Full batches of learned pictures, without augmentation, as many as `samplePictures` holds, but at least one; null where nothing is measured. */
  readonly sample: Batcher | null;
  close(): Promise<void>;
}

/**
 * @param asBytes  whether the backend normalizes pictures, where nothing else wants their numbers.
 * @throws {BnnError} E_USAGE when more pictures are held out than there are.
 */
export function createRunBatches(
  recipe: Recipe,
  dataset: Dataset,
  model: Model,
  {
    onBrokenImage,
    onWeights,
    augmentations = [],
    part,
    teacher,
    asBytes = false,
  }: Pick<TrainOptions, 'onBrokenImage' | 'onWeights' | 'teacher'> &
    Partial<Pick<Parts, 'augmentations'>> &
    Pick<BatcherOptions, 'part' | 'asBytes'>,
): RunBatches {
  const { seed, batchSize, padCrop, flip, alternateFlip, cropScale, brokenImages: onBroken } = recipe;
  const { train: learned, held } =
    recipe.validation > 0 ? holdOut(dataset.train, recipe.validation, seed) : { train: dataset.train, held: null };
  const normalize = recipe.init === '' ? recipe.normalize : normalizationOf(model);
  const common = { normalize, asBytes, prefetch: PREFETCH_BATCHES, onBroken, onBrokenImage, keepFramed: true };
  const augment = padCrop > 0 || flip || cropScale > 0 ? { padCrop, flip, alternateFlip, cropScale } : null;
  const change = pictureChangeOf(recipe, augmentations, dataset);
  // A small last batch has other statistics than the rest, and would have the last word before every evaluation.
  const full = { batchSize: Math.min(batchSize, learned.count), dropLast: true };
  // Processes that work together take every batch together.
  const keepEmpty = part !== undefined;
  const train = new Batcher(learned, {
    ...{ ...common, ...full, seed, augment, change, shuffle: true, part, keepEmpty },
    asBytes: asBytes && !needsFloats({ ...recipe, teacher }),
  });
  const evaluation = { ...common, batchSize: evaluationBatch(dataset) * (part?.of ?? 1), part };
  const test = new Batcher(dataset.test, evaluation);
  const validation = held === null ? null : new Batcher(held, evaluation);
  const isMeasured = measuresSample(recipe) || onWeights !== undefined;
  const sample = isMeasured
    ? createSample(learned, recipe, { ...full, normalize, onBroken, asBytes: asBytes && teacher === undefined })
    : null;
  return {
    train,
    test,
    validation,
    sample,
    close: async () => {
      await Promise.all([train.close(), test.close(), validation?.close(), sample?.close()]);
    },
  };
}

function createSample(learned: Split, { samplePictures: count, seed }: Recipe, options: BatcherOptions): Batcher {
  const { batchSize } = options;
  const batches = Math.max(1, Math.min(Math.floor(count / batchSize), Math.floor(learned.count / batchSize)));
  return new Batcher(samplePictures(learned, batches * batchSize, seed), options);
}
