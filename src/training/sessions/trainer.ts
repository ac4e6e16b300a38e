/** A training run: recipe in, run folder out. */

import { join } from 'node:path';
import { precisionOf } from '../../backends/precision.ts';
import { type SelectedBackend, selectBackend } from '../../backends/select-backend.ts';
import { fromFailedAllocation } from '../../core/machine/memory.ts';
import { encodePreprocessing, PREPROCESSING_KEY } from '../../core/pictures/preprocessing.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { type Dataset, pictureFormOf } from '../../data/dataset.ts';
import { loadDataset } from '../../data/load-dataset.ts';
import { resolveNormalization } from '../../data/normalization.ts';
import { fromFirst, meet } from '../../distributed/communicator.ts';
import { threadsOf } from '../../distributed/share-cores.ts';
import { BnnError } from '../../errors.ts';
import type { Model } from '../../graph/model.ts';
import type { TrainingPrecision } from '../../kernels/convolution.ts';
import { buildModel } from '../../zoo/zoo.ts';
import { Team } from '../learning/team.ts';
import { checkAugmentations } from '../plugins/augmentation.ts';
import { fromPluginError } from '../plugins/plugin-errors.ts';
import { createEstimators } from '../program/create-estimators.ts';
import { parseRecipe } from '../recipes/parse-recipe.ts';
import { BUILT_IN, openParts, type Parts } from '../recipes/parts.ts';
import { type Recipe, type RecipeInput, valuesOf } from '../recipes/recipe.ts';
import { loadOptionsOf, withImageSize } from '../recipes/run-data.ts';
import { loadInitialModel, withInitialDigest } from '../start/initial-model-io.ts';
import { type Checkpoint, loadCheckpoint, shareCheckpoint } from './checkpoint-io.ts';
import { checkHistory } from './history-io.ts';
import { noteOnPrecision, notesOnRecipe } from './recipe-notes.ts';
import { createRunBatches } from './run-batches.ts';
import { assertReplaceable, checkRunFolder, readRecipe, recipeDigest, removeUntouched } from './run-folder-io.ts';
import { type RunLock, withRunLock } from './run-lock-io.ts';
import type { TrainOptions, TrainResult } from './train-options.ts';
import { TrainingSession } from './training-session.ts';
import { checkStateFits } from './training-state.ts';

/**
 * Trains by a recipe; fields that are left out have their defaults. Those of plug-ins stand beside them.
 *
 * @throws {BnnError} for everything that a user can cause: a field that is wrong, a missing data set, a network that does not fit it,
 *   an existing run folder, a folder that another training is using or that goes away, a damaged checkpoint, a loss that is not a
 *   number (E_NUMERIC; the last good checkpoint stays), a full disk (likewise), an error in a plug-in (E_PLUGIN). A new run that fails before it has learned anything
 *   leaves nothing behind.
 */
export async function train(given: Partial<Recipe> & RecipeInput, options: TrainOptions): Promise<TrainResult> {
  const parts = await openParts(options.plugins);
  try {
    return await trainWith(parts, given, options);
  } catch (error) {
    throw fromPluginError(error, parts.plugins);
  }
}

async function trainWith(parts: Parts, given: RecipeInput, options: TrainOptions): Promise<TrainResult> {
  const parsed = parseRecipe([given], undefined, parts.rules);
  checkRecipe(parsed, parts);
  checkTeacher(parsed, options);
  const resume = options.resume === true;
  const { communicator } = options;
  // A checkpoint holds the network, so a resumed run needs the file no more.
  const start = () => (resume ? withSizeOfRun(parsed, options.out) : withStart(parsed, parts));
  const recipe = communicator === undefined ? await start() : await fromFirst(communicator, start);
  if (communicator !== undefined && communicator.rank > 0) return trainAlone(recipe, { ...options, parts }, NO_LOCK);
  await checkRunFolder(options.out, recipe, resume);
  return withRunLock(options.out, async (lock) => {
    try {
      return await trainAlone(recipe, { ...options, parts }, lock);
    } catch (error) {
      if (!resume && (await holds(lock))) await removeUntouched(options.out).catch(() => {});
      throw fromFailedAllocation(error, 'train this network on these pictures');
    }
  });
}

/** Of processes that do not write. */
const NO_LOCK: RunLock = { check: () => Promise.resolve() };

/** A recipe as a new run records it: with what it takes from its network. */
export async function withStart(
  recipe: Recipe,
  parts: Pick<Parts, 'networks' | 'datasets'> = BUILT_IN,
): Promise<Recipe> {
  return withImageSize(await withInitialDigest(recipe), parts);
}

/** Where a resumed recipe leaves the size of pictures to the network, that of the run stays. */
async function withSizeOfRun(recipe: Recipe, folder: string): Promise<Recipe> {
  if (recipe.imageSize > 0) return recipe;
  return { ...recipe, imageSize: (await readRecipe(folder))?.imageSize ?? 0 };
}

async function holds(lock: RunLock): Promise<boolean> {
  try {
    await lock.check();
    return true;
  } catch {
    return false;
  }
}

/** The options with the tables in place of what they are made of. */
type RunOptions = TrainOptions & { readonly parts: Parts };

async function trainAlone(recipe: Recipe, options: RunOptions, lock: RunLock): Promise<TrainResult> {
  const { parts, resume = false, communicator } = options;
  const team = communicator === undefined ? null : new Team(communicator);
  if (team?.isFirst !== false) {
    await assertReplaceable(options.out);
    // Again: another training may have ended since.
    await checkRunFolder(options.out, recipe, resume);
  }
  const checkpoint = resume ? await openTogether(recipe, options) : null;
  const threads = recipe.threads || options.threads || (communicator && threadsOf(communicator)) || undefined;
  const backend = await selectBackend(recipe.backend, { threads });
  const precision = agreedPrecision(recipe, backend, team);
  const dataset = await loadTogether(recipe, options);
  if (team !== null) checkTeam(team, recipe, backend, dataset);
  if (checkpoint !== null && checkpoint.state.data !== dataset.fingerprint) {
    throw new BnnError('E_FORMAT', 'the data set is not the one that the run was started with', {
      at: dataset.root,
      hint: 'give the same data and limits, or start a new run with another --out',
    });
  }
  for (const note of dataset.notes ?? []) options.onNote?.(note);
  checkPictures(recipe, dataset);
  const { model, latent }: Start = checkpoint ?? (await createModel(recipe, dataset, options));
  // Their threads would keep a process alive whose session could not be made.
  const batches = createRunBatches(recipe, dataset, model, {
    ...options,
    augmentations: parts.augmentations,
    part: team?.part,
    // What lies in the memory of a device is uploaded to it.
    asBytes: backend.capabilities.deviceMemory,
  });
  try {
    if (checkpoint !== null) {
      const at = join(options.out, 'last', 'state.json');
      checkStateFits(checkpoint.state, recipe, batches.train.batchesPerEpoch, at);
    }
    const change = noteOnPrecision(recipe, precision, checkpoint?.state);
    if (change !== null) options.onNote?.(change);
    if (checkpoint === null) {
      const { count } = dataset.train;
      for (const note of notesOnRecipe(recipe, batches.train.batchesPerEpoch, count)) options.onNote?.(note);
    }
    const session = new TrainingSession({
      ...{ recipe, options, parts, dataset, backend, precision, model, latent },
      ...{ batches, checkpoint, lock, team },
    });
    try {
      return await session.run();
    } finally {
      await session.close();
    }
  } finally {
    await batches.close();
  }
}

/** Process 0 has the run folder. */
async function openTogether(recipe: Recipe, options: RunOptions): Promise<Checkpoint> {
  const { communicator } = options;
  if (communicator === undefined) return openCheckpoint(recipe, options);
  const own = communicator.rank === 0 ? await openCheckpoint(recipe, options) : null;
  return shareCheckpoint(communicator, own);
}

/** What is downloaded is downloaded by one process of each machine, and read by the others. */
async function loadTogether(recipe: Recipe, options: RunOptions): Promise<Dataset> {
  const { communicator } = options;
  if (communicator === undefined || !recipe.download) return loadPictures(recipe, options);
  const isFirstHere = communicator.localRank === 0;
  const own = isFirstHere ? await loadPictures(recipe, options) : null;
  meet(communicator);
  return own ?? (await loadPictures(recipe, options));
}

/** @throws {BnnError} where the processes cannot train together. */
function checkTeam(team: Team, recipe: Recipe, backend: SelectedBackend, dataset: Dataset): void {
  const { batchSize, syncBatchNorm, validation } = recipe;
  const most = Math.min(batchSize, dataset.train.count - validation);
  if (most < team.size) {
    throw new BnnError('E_USAGE', `a batch has ${most} pictures, for ${team.size} processes`, {
      hint: 'choose a larger --batch-size, or start fewer processes',
    });
  }
  if (syncBatchNorm && !backend.capabilities.synchronous) {
    throw new BnnError(
      'E_USAGE',
      `--sync-batch-norm does not work on backend ${backend.name}: it would wait for the device in every layer`,
      { hint: 'leave it out, so that each process normalizes by its own part, or take --backend native' },
    );
  }
  team.assertSame('the data set', dataset.fingerprint, 'give all processes the same data, at the same place');
}

/** `auto` is bf16 where that is faster for all: processes on unlike machines must compute alike. */
function agreedPrecision({ precision }: Recipe, backend: SelectedBackend, team: Team | null): TrainingPrecision {
  const isSlower = backend.fasterInBf16 !== true;
  const isSlowerForOne = team === null ? isSlower : team.agree(isSlower);
  const { name, capabilities } = backend;
  return precisionOf(precision, { name, capabilities, fasterInBf16: !isSlowerForOne });
}

function loadPictures(recipe: Recipe, { parts, onData }: RunOptions): Promise<Dataset> {
  const { datasets } = parts;
  return loadDataset(recipe.dataset, { ...loadOptionsOf(recipe, datasets), onProgress: onData }, datasets);
}

/** Reads `last` and checks all of it that can be checked without the data. Writes nothing. */
async function openCheckpoint(recipe: Recipe, { out, onNote }: TrainOptions): Promise<Checkpoint> {
  const checkpoint = await loadCheckpoint(join(out, 'last'));
  const { state, isSealed } = checkpoint;
  await checkHistory(join(out, 'history.jsonl'), state.epoch);
  if (state.recipe !== undefined && state.recipe !== recipeDigest(recipe)) {
    throw new BnnError('E_FORMAT', 'this is not the recipe that the run was trained by', {
      at: join(out, 'recipe.json'),
      hint: 'take it from a copy, or start a new run with another --out',
    });
  }
  if (isSealed !== true) {
    onNote?.('an earlier version wrote this checkpoint, without digests: damage in its numbers cannot be seen');
  }
  return checkpoint;
}

/** @throws {BnnError} E_SHAPE when there is one class, E_NOT_FOUND when a split is empty, E_USAGE when an augmentation would leave nothing of a picture. */
function checkPictures({ cutout, padCrop }: Recipe, { train, test, height, width, root, classes }: Dataset): void {
  for (const [name, { count }] of Object.entries({ training: train, test })) {
    if (count > 0) continue;
    throw new BnnError('E_NOT_FOUND', `the data set has no ${name} pictures`, {
      at: root,
      hint: 'training needs both: pictures to learn from, and pictures to test on; check the folders of both splits',
    });
  }
  if (classes.length < 2) {
    throw new BnnError('E_SHAPE', `all pictures are of one class, "${classes[0]}": there is nothing to tell apart`, {
      at: root,
      hint: 'give every class a folder of its own in train and test',
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
export function checkRecipe(
  recipe: Recipe,
  { estimators, augmentations }: Pick<Parts, 'estimators' | 'augmentations'> = BUILT_IN,
): void {
  checkAugmentations(recipe, augmentations);
  createEstimators(recipe, estimators);
  checkBinaryValues(recipe);
  if (recipe.patience > 0 && recipe.validation === 0) {
    throw new BnnError('E_USAGE', `patience is ${recipe.patience}, but no pictures are held out to stop by`, {
      hint: 'give --validation N as well',
    });
  }
}

/** @throws {BnnError} E_USAGE where the values of AdaBin would be taken of weights that are not the latent ones. */
function checkBinaryValues({ init, binaryValues, weightTransform, optimizer }: Recipe): void {
  if (init !== '' || binaryValues !== 'adabin') return;
  const found =
    weightTransform !== 'none'
      ? `weightTransform is ${weightTransform}`
      : optimizer === 'bop'
        ? 'optimizer is bop'
        : null;
  if (found === null) return;
  throw new BnnError('E_USAGE', `${found}, but binaryValues is adabin, which takes its values from latent weights`, {
    hint: 'leave one of the two out',
  });
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

async function createModel(recipe: Recipe, dataset: Dataset, { onNote, parts }: RunOptions): Promise<Start> {
  if (recipe.init !== '') {
    const { notes, ...start } = await loadInitialModel(recipe, dataset, parts.weightTransforms);
    for (const note of notes) onNote?.(note);
    return start;
  }
  const { channels, height, width, classes } = dataset;
  if (height !== width) {
    throw new BnnError('E_SHAPE', `pictures of ${height}×${width}, the zoo's networks take square ones`);
  }
  const facts = { seed: recipe.seed, classes: classes.length, channels, imageSize: height, values: valuesOf(recipe) };
  const model = buildModel(recipe.model, facts, parts.networks);
  const statistics = resolveNormalization(recipe.normalize, dataset);
  const preprocessing = { dataset: dataset.name, picture: pictureFormOf(dataset), ...statistics, classes };
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(preprocessing));
  if (recipe.whitenStem) {
    const { whitenStem } = await import('../start/whitened-stem.ts');
    await whitenStem(model, recipe, dataset);
  }
  return { model };
}
