/** Runs in models/unfinished: what they need to go on is there, and the README says how far they came. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadCheckpoint } from '../../src/training/sessions/checkpoint-io.ts';
import { readHistory } from '../../src/training/sessions/history-io.ts';
import { readRecipe, recipeDigest } from '../../src/training/sessions/run-folder-io.ts';
import { findRecipeFile } from '../../tools/model-card/recipe-file.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MODELS = join(ROOT, 'models');
const UNFINISHED = join(MODELS, 'unfinished');

const runs = readdirSync(UNFINISHED, { withFileTypes: true }).filter((entry) => entry.isDirectory());

const readme = readFileSync(join(UNFINISHED, 'README.md'), 'utf8');

it('the README names the runs that are there', () => {
  const rows = Array.from(readme.matchAll(/^\| \[([^\]]+)\]\(\1\)/gm), ([, name]) => name);
  expect(rows.sort()).toEqual(runs.map(({ name }) => name).sort());
});

it.each(runs.map(({ name }) => name))('models/unfinished/%s can go on', async (name) => {
  const folder = join(UNFINISHED, name);
  const recipe = (await readRecipe(folder))!;
  const { state, isSealed } = await loadCheckpoint(join(folder, 'last'));
  expect(isSealed).toBe(true);
  expect(state.recipe).toBe(recipeDigest(recipe));
  expect(state.epoch).toBeLessThan(recipe.epochs);
  // The data lie anywhere, the teacher comes along.
  expect(recipe.data).toBe('');
  if (recipe.teacher !== '') expect(existsSync(join(ROOT, recipe.teacher))).toBe(true);
  const history = await readHistory(join(folder, 'history.jsonl'));
  expect(history.length).toBe(state.epoch);
  const file = await findRecipeFile(MODELS, recipe);
  const reached = `${(100 * (history.at(-1)?.testTop1 ?? 0)).toFixed(2)} %`;
  const row = `| [${name}](${name}) | [${file}](../${file}) | ${state.epoch} of ${recipe.epochs} | ${reached} |`;
  expect(readme).toContain(row);
});
