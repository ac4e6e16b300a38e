/** The file that a run starts from. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Dataset } from '../data/dataset.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import { readModel } from '../onnx/model-io.ts';
import { type InitialModel, prepareModel } from './initial-model.ts';
import type { Recipe } from './recipe.ts';

/**
 * The recipe with the digest of the file that it starts from, and without the network of the zoo that the file stands for.
 *
 * @throws {BnnError} E_NOT_FOUND or E_IO; E_FORMAT when the recipe has the digest of another file.
 */
export async function withInitialDigest(recipe: Recipe): Promise<Recipe> {
  if (recipe.init === '') return recipe;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(recipe.init);
  } catch (error) {
    throw fromSystemError(error, 'read the network to start from', recipe.init);
  }
  const initSha256 = createHash('sha256').update(bytes).digest('hex');
  if (recipe.initSha256 !== '' && recipe.initSha256 !== initSha256) {
    throw new BnnError('E_FORMAT', `the file has SHA-256 ${initSha256}, the recipe names ${recipe.initSha256}`, {
      at: recipe.init,
      hint: 'give the file that the recipe was made with, or take initSha256 out of the recipe',
    });
  }
  return { ...recipe, model: '', initSha256 };
}

/** @throws {BnnError} as `readModel` and `prepareModel`. */
export async function loadInitialModel(recipe: Recipe, dataset: Dataset): Promise<InitialModel> {
  return prepareModel(await readModel(recipe.init), dataset, recipe, recipe.init);
}
