/**
 * A run folder: `recipe.json` (everything needed to repeat the run), `history.jsonl` (one object per epoch) and the checkpoints
 * `last/` and `best/`.
 */

import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { recoverFolder, writeFileAtomic } from '../core/atomic-file-io.ts';
import { parseJsonObject } from '../core/parse-json.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';
import { parseRecipe, type Recipe } from './recipe.ts';

/** The recipe of a run folder, or null when the folder holds no run. */
export async function readRecipe(folder: string): Promise<Recipe | null> {
  const path = join(folder, 'recipe.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null;
    if (systemErrorCode(error) === 'ENOTDIR') {
      throw new BnnError('E_USAGE', 'this is a file, expected the folder of a run', {
        at: folder,
        hint: 'give --out the name of a folder, e.g. runs/NAME',
      });
    }
    throw fromSystemError(error, 'read the recipe', path);
  }
  return parseRecipe([parseJsonObject(text, path)], path);
}

/** Fields that may differ when a run is resumed: what the data are is checked by their digest, wherever they lie. */
const FREE_FIELDS: readonly string[] = ['data', 'download', 'checkpointMinutes'] satisfies (keyof Recipe)[];

/**
 * Checks that the folder of a new run is free, or that a resumed run keeps its recipe. Writes nothing.
 *
 * @throws {BnnError} E_USAGE when the folder already holds a run (new), or a field of the recipe differs (resumed).
 */
export async function checkRunFolder(folder: string, recipe: Recipe, resume: boolean): Promise<void> {
  const before = await readRecipe(folder);
  if (before !== null && !resume) {
    throw new BnnError('E_USAGE', 'this folder already holds a run', {
      at: folder,
      hint: 'continue it with --resume, or choose another --out',
    });
  }
  for (const [name, value] of Object.entries(before ?? {})) {
    const now = recipe[name as keyof Recipe];
    if (now === value || FREE_FIELDS.includes(name)) continue;
    throw new BnnError('E_USAGE', `${name} was ${JSON.stringify(value)} and is now ${JSON.stringify(now)}`, {
      at: join(folder, 'recipe.json'),
      hint: `a resumed run keeps its recipe; to go on from its weights with another one: --init ${join(folder, 'last/model.onnx')} and another --out`,
    });
  }
}

const LEFTOVER = /^(last|best|recipe\.json|history\.jsonl)\.tmp-[0-9a-f]{8}$/;

/** Deletes what a process killed while it wrote has left, and finishes a `best` whose replacement was cut short. */
export async function removeLeftovers(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      if (LEFTOVER.test(name)) await rm(join(folder, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw fromSystemError(error, 'tidy the run folder', folder);
  }
  await recoverFolder(join(folder, 'best'));
}

/**
 * Makes a folder that holds a run. Written after the first checkpoint, so that a folder with a recipe can always be resumed.
 *
 * @throws {BnnError} E_IO or E_NOT_FOUND with the path.
 */
export async function writeRecipe(folder: string, recipe: Recipe): Promise<void> {
  await writeFileAtomic(join(folder, 'recipe.json'), `${JSON.stringify(recipe, null, 2)}\n`);
}
