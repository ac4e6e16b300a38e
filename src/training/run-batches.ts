/** The batches of a run: for learning, for testing, and of the pictures held out where the recipe holds some out. */

import { Batcher } from '../data/batches.ts';
import type { Dataset } from '../data/dataset.ts';
import { holdOut } from '../data/hold-out.ts';
import type { Model } from '../graph/model.ts';
import { evaluationBatch } from './evaluate.ts';
import { normalizationOf } from './initial-model.ts';
import type { Recipe } from './recipe.ts';
import type { TrainListeners } from './train-options.ts';

const PREFETCH_BATCHES = 4;

export interface RunBatches {
  readonly train: Batcher;
  readonly test: Batcher;
  readonly validation: Batcher | null;
  close(): Promise<void>;
}

/** @throws {BnnError} E_USAGE when more pictures are held out than there are. */
export function createRunBatches(
  recipe: Recipe,
  dataset: Dataset,
  model: Model,
  { onBrokenImage }: Pick<TrainListeners, 'onBrokenImage'>,
): RunBatches {
  const { seed, batchSize, padCrop, flip, cropScale, brokenImages: onBroken } = recipe;
  const { train: learned, held } =
    recipe.validation > 0 ? holdOut(dataset.train, recipe.validation, seed) : { train: dataset.train, held: null };
  const normalize = recipe.init === '' ? recipe.normalize : normalizationOf(model);
  const common = { normalize, prefetch: PREFETCH_BATCHES, onBroken, onBrokenImage };
  const augment = padCrop > 0 || flip || cropScale > 0 ? { padCrop, flip, cropScale } : null;
  const train = new Batcher(learned, { ...common, batchSize, seed, augment, shuffle: true });
  const evaluation = { ...common, batchSize: evaluationBatch(dataset) };
  const test = new Batcher(dataset.test, evaluation);
  const validation = held === null ? null : new Batcher(held, evaluation);
  return {
    train,
    test,
    validation,
    close: async () => {
      await Promise.all([train.close(), test.close(), validation?.close()]);
    },
  };
}
