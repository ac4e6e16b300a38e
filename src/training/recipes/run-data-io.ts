/** What data a run was trained on, for commands that do not train: reading the whole recipe would load TensorFlow.js. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonObject } from '../../core/formats/parse-json.ts';
import { fromSystemError, systemErrorCode } from '../../errors.ts';
import { type DataPlace, placeOf } from './data-place.ts';

export interface RunData extends DataPlace {
  readonly dataset: string;
  /** Names of the plug-ins that it was trained with. */
  readonly plugins: readonly string[];
}

/**
 * The data of a run folder; null when it holds no recipe.
 *
 * @throws {BnnError} E_FORMAT for a recipe that is no JSON object, E_IO when it cannot be read.
 */
export async function readRunData(folder: string): Promise<RunData | null> {
  const path = join(folder, 'recipe.json');
  try {
    const { dataset, data, split, seed, plugins } = parseJsonObject(await readFile(path, 'utf8'), path);
    if (typeof dataset !== 'string') return null;
    const isDivided = typeof split === 'number' && typeof seed === 'number';
    const place = {
      data: typeof data === 'string' ? data : '',
      ...(isDivided ? { split, seed } : { split: 0, seed: 0 }),
    };
    return { dataset, ...placeOf(place), plugins: namesOf(plugins) };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null;
    throw fromSystemError(error, 'read the recipe', path);
  }
}

function namesOf(plugins: unknown): string[] {
  const list: readonly unknown[] = Array.isArray(plugins) ? plugins : [];
  return list.flatMap((plugin) => {
    const { name } = Object(plugin) as { name?: unknown };
    return typeof name === 'string' ? [name] : [];
  });
}
