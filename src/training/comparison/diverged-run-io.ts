/** `diverged.json` in the folder of a run whose loss became no number: a comparison goes on without it, and does not train it again. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/files/atomic-file-io.ts';
import { parseJsonObject } from '../../core/formats/parse-json.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import type { Recipe } from '../recipes/recipe.ts';
import { recipeDigest } from '../sessions/run-folder-io.ts';

const FILE = 'diverged.json';

/** What the error of a training says of its divergence; null for any other error. @param folder  of the run. */
export function divergenceOf(error: unknown, folder: string): string | null {
  // Another number that is none, such as one of the teacher, names another place.
  const isDivergence = error instanceof BnnError && error.code === 'E_NUMERIC' && error.at === folder;
  return isDivergence ? error.message : null;
}

export async function writeDivergence(folder: string, recipe: Recipe, message: string): Promise<void> {
  const record = { version: 1, message, recipe: recipeDigest(recipe) };
  await writeFileAtomic(join(folder, FILE), `${JSON.stringify(record)}\n`);
}

/**
 * What was said of the divergence; null where there is none.
 *
 * @param recipe  that of the run: one that diverged in its first epoch has left nothing that another recipe could not replace.
 * @throws {BnnError} E_IO or E_FORMAT.
 */
export async function readDivergence(folder: string, recipe?: Recipe): Promise<string | null> {
  const path = join(folder, FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null;
    throw fromSystemError(error, 'read the divergence', path);
  }
  const { message, recipe: digest } = parseJsonObject(text, path);
  if (recipe !== undefined && digest !== recipeDigest(recipe)) return null;
  return String(message);
}
