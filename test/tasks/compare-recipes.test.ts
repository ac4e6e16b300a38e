import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { type ComparisonPlan, compareRecipes } from '../../src/tasks/compare-recipes.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-compare-recipes-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('tells its plan before any work, and what that throws stops it', async () => {
  const out = join(folder, 'out');
  const plans: ComparisonPlan[] = [];
  const comparing = compareRecipes(parseRecipe([{ epochs: 2, validation: 100, lr: 0.5 }]), {
    out,
    arms: ['base:', 'wide:estimator=ste,steClip=2'],
    oEnds: [1],
    seeds: [1, 2],
    tuneLrs: [0.1, 0.2, 0.3],
    onPlan: (plan) => {
      plans.push(plan);
      throw new RangeError('not today');
    },
    onStart: () => expect.unreachable(),
  });
  await expect(comparing).rejects.toThrow('not today');
  const [{ arms, recipes, runs, tuning }] = plans as [ComparisonPlan];
  expect(arms.map(({ name }) => name)).toEqual(['base', 'wide', 'reste o=1']);
  expect(recipes.map(({ estimator, steClip, oEnd, lr }) => [estimator, steClip, oEnd, lr])).toEqual([
    ['reste', 1, 3, 0.5],
    ['ste', 2, 3, 0.5],
    ['reste', 1, 1, 0.5],
  ]);
  expect(tuning).toEqual({ lrs: [0.1, 0.2, 0.3], seeds: [1001] });
  // Each arm with three rates for one seed, then with two seeds.
  expect(runs).toBe(3 * (3 * 1 + 2));
  expect(existsSync(out)).toBe(false);
});

it.each([
  ['an arm that does nothing', { arms: ['base:', 'wide:steClip=2'] }, /steClip does nothing in arm "wide"/],
  ['a seed twice', { estimators: ['ste', 'reste'], seeds: [1, 1] }, /a seed is given twice/],
  ['rates without held-out pictures', { estimators: ['ste', 'reste'], tuneLrs: [1, 2] }, /none are held out/],
])('refuses %s before any work', async (_, options, message) => {
  const out = join(folder, 'refused');
  await expect(compareRecipes(parseRecipe([]), { out, ...options })).rejects.toMatchObject({
    code: 'E_USAGE',
    message: expect.stringMatching(message),
  });
  expect(existsSync(out)).toBe(false);
});
