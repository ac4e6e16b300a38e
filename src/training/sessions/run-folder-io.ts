/**
 * A run folder: `recipe.json` (everything needed to repeat the run), `history.jsonl` (one object per epoch), the checkpoints `last/` and
 * `best/`, and what is derived from them for people (`run-views-io.ts`); while a training has it, `lock.json` too.
 */

import { access, constants, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { recoverFolder, writeFileAtomic } from '../../core/files/atomic-file-io.ts';
import { sha256 } from '../../core/files/digests-io.ts';
import { isTemporaryOf, removeAbandoned } from '../../core/files/temporary-name-io.ts';
import { parseJsonObject } from '../../core/formats/parse-json.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import { BUILT_IN_RULES, defaultRecipe, parseRecipe, type RecipeRules } from '../recipes/parse-recipe.ts';
import type { PluginRecord, Recipe } from '../recipes/recipe.ts';
import { readHistory } from './history-io.ts';
import { LOCK_FILE } from './run-lock-io.ts';
import { VIEW_FILES } from './run-views-io.ts';

export const ENVIRONMENT_FILE = 'environment.json';

/**
 * The recipe of a run folder, or null when the folder holds no run.
 *
 * @param rules  those to train by; unless told, fields of plug-ins that are not here are taken as they stand.
 */
export async function readRecipe(folder: string, rules?: RecipeRules): Promise<Recipe | null> {
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
  const fields = parseJsonObject(text, path);
  const looking: RecipeRules = fields['plugins'] === undefined ? BUILT_IN_RULES : { ...BUILT_IN_RULES, isOpen: true };
  return parseRecipe([fields], path, rules ?? looking);
}

/**
 * Whether a field may differ when a run is resumed, as no weight depends on it: what the data are is checked by their digest, wherever they
 * lie, and so is the teacher, but for runs of earlier versions.
 */
function isFree(field: string, { teacher, teacherSha256 }: Pick<Recipe, 'teacher' | 'teacherSha256'>): boolean {
  return FREE_FIELDS.includes(field) || (field === 'teacher' && teacher !== '' && teacherSha256 !== '');
}

const FREE_FIELDS: readonly string[] = [
  'data',
  'download',
  'checkpointMinutes',
  'teacherCache',
] satisfies (keyof Recipe)[];

/**
 * Checks that the folder of a new run is free, or that a resumed run keeps its recipe. Writes nothing.
 *
 * @throws {BnnError} E_USAGE when the folder already holds a run (new), or a field of the recipe differs (resumed).
 */
export async function checkRunFolder(folder: string, recipe: Recipe, resume: boolean): Promise<void> {
  const before = await readRecipe(folder);
  if (!resume) {
    const history = join(folder, 'history.jsonl');
    if (before === null ? (await readHistory(history)).length === 0 : await isUntouched(folder)) return;
    throw new BnnError('E_USAGE', 'this folder already holds a run', {
      at: folder,
      hint: 'continue it with --resume, or choose another --out',
    });
  }
  for (const [name, value] of Object.entries(before ?? {})) {
    const now = recipe[name as keyof Recipe];
    if (JSON.stringify(now) === JSON.stringify(value) || isFree(name, recipe)) continue;
    if (name === 'plugins') throw otherPlugins(before?.plugins ?? [], recipe.plugins ?? [], folder);
    throw new BnnError('E_USAGE', `${name} was ${JSON.stringify(value)} and is now ${JSON.stringify(now)}`, {
      at: join(folder, 'recipe.json'),
      hint: `a resumed run keeps its recipe; to go on from its weights with another one: --init ${join(folder, 'last/model.onnx')} and another --out`,
    });
  }
}

function otherPlugins(before: readonly PluginRecord[], now: readonly PluginRecord[], folder: string): BnnError {
  const inWords = (records: readonly PluginRecord[]): string =>
    records.map(({ name, sha256: digest }) => `"${name}" (SHA-256 ${digest.slice(0, 12)}…)`).join(', ') || 'none';
  return new BnnError('E_USAGE', `the plug-ins were ${inWords(before)} and are now ${inWords(now)}`, {
    at: join(folder, 'recipe.json'),
    hint: `a resumed run keeps its plug-ins, to the letter; to go on from its weights with others: --init ${join(folder, 'last/model.onnx')} and another --out`,
  });
}

/** What of a recipe makes the weights, as one text: it tells a recipe that was changed since the run was trained by it. */
export function recipeDigest(recipe: Recipe): string {
  const defaults: Readonly<Record<string, unknown>> = { ...defaultRecipe() };
  // What is at its default is left out, so that fields of later versions change nothing. (The size of pictures was 224 by default.)
  const fields = Object.entries(recipe).filter(
    ([name, value]) => !isFree(name, recipe) && value !== defaults[name] && !(name === 'imageSize' && value === 224),
  );
  return sha256(JSON.stringify(fields.sort()));
}

/** Whether the run in the folder has not learned anything yet: it was killed or failed at its start, and nothing is lost with it. */
export async function isUntouched(folder: string): Promise<boolean> {
  try {
    const { epoch, batch } = JSON.parse(await readFile(join(folder, 'last', 'state.json'), 'utf8')) as {
      epoch?: unknown;
      batch?: unknown;
    };
    return epoch === 0 && batch === 0 && (await readHistory(join(folder, 'history.jsonl'))).length === 0;
  } catch {
    return false;
  }
}

/** Deletes a run that has not learned anything yet. */
export async function removeUntouched(folder: string): Promise<void> {
  if (!(await isUntouched(folder))) return;
  // The recipe first: a folder with one can be resumed.
  for (const name of RUN_FILES) await rm(join(folder, name), { recursive: true, force: true });
}

const RUN_FILES = ['recipe.json', ENVIRONMENT_FILE, 'history.jsonl', 'last', 'best'] as const;

/**
 * Checks that everything in the folder that a run replaces can be replaced: found after the first epoch, it would cost that.
 *
 * @throws {BnnError} E_IO with the path.
 */
export async function assertReplaceable(folder: string): Promise<void> {
  for (const name of ['.', ...RUN_FILES]) {
    const path = join(folder, name);
    const isFile = name.includes('.json');
    try {
      const status = await stat(path);
      if (isFile ? !status.isFile() : !status.isDirectory()) {
        throw new BnnError('E_IO', `there is something here that is not a ${isFile ? 'file' : 'folder'} of a run`, {
          at: path,
          hint: 'choose another --out',
        });
      }
      await access(path, isFile ? constants.W_OK : constants.W_OK | constants.X_OK);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw fromSystemError(error, 'write into the run folder', path);
    }
  }
}

/**
 * Checks that the disk has room for the checkpoints to come: `best`, and a new one of each beside the one that it replaces.
 *
 * @throws {BnnError} E_IO.
 */
export async function assertRoom(folder: string): Promise<void> {
  const last = join(folder, 'last');
  let bytes = 0;
  for (const name of await readdir(last)) bytes += (await stat(join(last, name))).size;
  const { bavail, bsize, blocks } = await statfs(folder);
  // Some network file systems do not tell.
  if (blocks === 0 || bavail * bsize >= 2 * bytes) return;
  const mega = (size: number): string => `${(size / 1e6).toPrecision(3)} MB`;
  throw new BnnError(
    'E_IO',
    `the disk has ${mega(bavail * bsize)} left, the checkpoints of this run take ${mega(2 * bytes)} more`,
    {
      at: folder,
      hint: 'free some space on the disk, or choose another folder',
    },
  );
}

/** Deletes what a process killed while it wrote has left, and finishes a `best` whose replacement was cut short. Needs the lock. */
export async function removeLeftovers(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      // Under the lock, nobody else is writing these.
      if ([...RUN_FILES, ...VIEW_FILES].some((target) => isTemporaryOf(name, target)))
        await rm(join(folder, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw fromSystemError(error, 'tidy the run folder', folder);
  }
  await removeAbandoned(join(folder, LOCK_FILE));
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
