/** Which recipe of models/ a run followed. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonObject } from '../../src/core/formats/parse-json.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import type { Recipe } from '../../src/training/recipes/recipe.ts';

/** Fields that may differ without making it another recipe: where and how it ran, and which of its random draws. */
const FREE_FIELDS = new Set<string>([
  'data',
  'download',
  'backend',
  'threads',
  'seed',
  'checkpointMinutes',
  'teacherCache',
  'indicators',
] satisfies (keyof Recipe)[]);

/** The first file, by name, whose recipe is that of the run; null when there is none. */
export async function findRecipeFile(folder: string, recipe: Recipe): Promise<string | null> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json') && !name.endsWith('.schema.json'));
  for (const name of names.sort()) {
    const path = join(folder, name);
    const candidate = parseRecipe([parseJsonObject(await readFile(path, 'utf8'), path)], path);
    // Wherever it lies.
    const isSameTeacher = candidate.teacherSha256 !== '' && candidate.teacherSha256 === recipe.teacherSha256;
    const differs = Object.entries(candidate).some(
      ([field, value]) =>
        !FREE_FIELDS.has(field) && !(field === 'teacher' && isSameTeacher) && recipe[field as keyof Recipe] !== value,
    );
    if (!differs) return name;
  }
  return null;
}
