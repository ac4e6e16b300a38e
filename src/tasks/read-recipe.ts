/** The recipe file that a command is given. */

import { readFile } from 'node:fs/promises';
import { parseJsonObject } from '../core/parse-json.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import { findModel } from '../inference/model-source-io.ts';
import type { Recipe, RecipeInput } from '../training/recipe.ts';

/** @throws {BnnError} E_NOT_FOUND, E_IO, E_USAGE for a network, or E_FORMAT when it is not a JSON object. */
export async function readRecipeFile(path: string): Promise<RecipeInput> {
  if (path.endsWith('.onnx')) {
    throw new BnnError('E_USAGE', 'this is a network, expected a recipe as JSON', {
      at: path,
      hint: `to start from this network, give --init ${path}`,
    });
  }
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fromSystemError(error, 'read the recipe', path);
  }
  return parseJsonObject(text, path);
}

/**
 * The recipe with the ONNX file in place of a run folder, where a run starts from one or imitates one.
 *
 * @throws {BnnError} E_NOT_FOUND.
 */
export async function withModelFiles(recipe: Recipe): Promise<Recipe> {
  const fileOf = async (path: string): Promise<string> => (path === '' ? '' : (await findModel(path)).path);
  return { ...recipe, init: await fileOf(recipe.init), teacher: await fileOf(recipe.teacher) };
}
