/** The recipe file that a command is given. */

import { readFile } from 'node:fs/promises';
import { fromSystemError } from '../errors.ts';
import type { RecipeInput } from '../training/recipe.ts';
import { parseJsonObject } from '../training/run-folder-io.ts';

/** @throws {BnnError} E_NOT_FOUND, E_IO, or E_FORMAT when it is not a JSON object. */
export async function readRecipeFile(path: string): Promise<RecipeInput> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fromSystemError(error, 'read the recipe', path);
  }
  return parseJsonObject(text, path);
}
