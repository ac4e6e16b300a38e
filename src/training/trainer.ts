/** A training run: recipe in, run folder out. */

import { join } from 'node:path';
import { selectBackend } from '../backends/select-backend.ts';
import { encodePreprocessing, PREPROCESSING_KEY } from '../core/preprocessing.ts';
import type { Tensor } from '../core/tensor.ts';
import type { Dataset } from '../data/dataset.ts';
import { hasFreeImageSize, loadDataset } from '../data/load-dataset.ts';
import { resolveNormalization } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { buildModel } from '../zoo/zoo.ts';
import { loadCheckpoint } from './checkpoint-io.ts';
import { createEstimators } from './create-estimators.ts';
import { loadInitialModel, withInitialDigest } from './initial-model-io.ts';
import type { Recipe } from './recipe.ts';
import { createRunBatches } from './run-batches.ts';
import { checkRunFolder } from './run-folder-io.ts';
import { withRunLock } from './run-lock-io.ts';
import type { TrainOptions, TrainResult } from './train-options.ts';
import { TrainingSession } from './training-session.ts';

/**
 * Trains by a recipe.
 *
 * @throws {BnnError} for everything that a user can cause: a missing data set, a network that does not fit it, an existing run folder,
 *   a folder that another training is using, a loss that is not a number (E_NUMERIC; the last good checkpoint stays), a full disk (likewise).
 */
export async function train(given: Recipe, options: TrainOptions): Promise<TrainResult> {
  checkRecipe(given);
  checkTeacher(given, options);
  const resume = options.resume === true;
  // A checkpoint holds the network, so a resumed run needs the file no more.
  const recipe = resume ? given : await withInitialDigest(given);
  await checkRunFolder(options.out, recipe, resume);
  return withRunLock(options.out, () => trainAlone(recipe, options, resume));
}

async function trainAlone(recipe: Recipe, options: TrainOptions, resume: boolean): Promise<TrainResult> {
  const checkpoint = resume ? await loadCheckpoint(join(options.out, 'last')) : null;
  // Again: another training may have ended since.
  await checkRunFolder(options.out, recipe, resume);
  const backend = await selectBackend(recipe.backend, { threads: recipe.threads || undefined });
  const dataset = await loadDataset(recipe.dataset, {
    dir: recipe.data || undefined,
    download: recipe.download,
    limitTrain: recipe.limitTrain || undefined,
    limitTest: recipe.limitTest || undefined,
    imageSize: hasFreeImageSize(recipe.dataset) ? recipe.imageSize : undefined,
    onProgress: options.onData,
  });
  if (checkpoint !== null && checkpoint.state.data !== dataset.fingerprint) {
    throw new BnnError('E_FORMAT', 'the data set is not the one that the run was started with', {
      at: dataset.root,
      hint: 'give the same data and limits, or start a new run with another --out',
    });
  }
  checkPictures(recipe, dataset);
  const { model, latent }: Start = checkpoint ?? (await createModel(recipe, dataset, options));
  // Their threads would keep a process alive whose session could not be made.
  const batches = createRunBatches(recipe, dataset, model, options);
  try {
    const session = new TrainingSession(recipe, options, dataset, backend, model, batches, checkpoint, latent);
    try {
      return await session.run();
    } finally {
      await session.close();
    }
  } finally {
    await batches.close();
  }
}

/** @throws {BnnError} E_NOT_FOUND when a split is empty, E_USAGE when an augmentation would leave nothing of a picture. */
function checkPictures({ cutout, padCrop }: Recipe, { train, test, height, width, root }: Dataset): void {
  for (const [name, { count }] of Object.entries({ training: train, test })) {
    if (count > 0) continue;
    throw new BnnError('E_NOT_FOUND', `the data set has no ${name} pictures`, {
      at: root,
      hint: 'training needs both: pictures to learn from, and pictures to test on; check the folders of both splits',
    });
  }
  for (const [name, size] of Object.entries({ cutout, padCrop })) {
    if (size < Math.min(height, width)) continue;
    throw new BnnError('E_USAGE', `${name} is ${size}, the pictures have ${height}×${width} pixels`, {
      hint: 'choose less than the side of a picture',
    });
  }
}

/**
 * What only several fields together make wrong: said before anything is loaded.
 *
 * @throws {BnnError} E_USAGE.
 */
export function checkRecipe(recipe: Recipe): void {
  createEstimators(recipe);
  if (recipe.patience > 0 && recipe.validation === 0) {
    throw new BnnError('E_USAGE', `patience is ${recipe.patience}, but no pictures are held out to stop by`, {
      hint: 'give --validation N as well',
    });
  }
}

function checkTeacher(recipe: Recipe, options: TrainOptions): void {
  if (recipe.teacher !== '' && options.teacher === undefined) {
    throw new BnnError('E_USAGE', `the recipe names the teacher ${recipe.teacher}, but none was given to train()`, {
      hint: 'pass a function as `teacher`; the command line does so',
    });
  }
}

interface Start {
  readonly model: Model;
  /** What a weight transform starts from, where that is not the weights of the model. */
  readonly latent?: ReadonlyMap<string, Tensor>;
}

async function createModel(recipe: Recipe, dataset: Dataset, { onNote }: TrainOptions): Promise<Start> {
  if (recipe.init !== '') {
    const { notes, ...start } = await loadInitialModel(recipe, dataset);
    for (const note of notes) onNote?.(note);
    return start;
  }
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
  return { model };
}
