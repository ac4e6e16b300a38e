import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { type ArmResult, createArms } from '../../../src/training/comparison/comparison.ts';
import { type ComparisonOptions, runComparison } from '../../../src/training/comparison/run-comparison-io.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import type { Recipe, RecipeInput } from '../../../src/training/recipes/recipe.ts';
import { loopback } from '../../distributed/loopback.ts';

const SLOW = { timeout: 60_000 };
const SMALL = {
  ...{ limitTrain: 192, limitTest: 50, validation: 64, epochs: 30, batchSize: 64, estimator: 'ste' },
  ...{ backend: 'native', threads: 1 },
};
const SHORT = { epochs: 1, batchSize: 16 };
const DIVERGING = 'optimizer=sgd,lr=1e6,weightDecay=1e6';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-run-comparison-'));
});
afterAll(() => rm(folder, { recursive: true }));

const arms = (...specs: string[]) => createArms({ estimators: [], oEnds: [], lrs: [], specs });

/** Compares, and tells which runs were trained for it. */
async function compare(given: RecipeInput, options: Omit<ComparisonOptions, 'onRun'>) {
  const runs: string[] = [];
  const trained: string[] = [];
  const diverged: string[] = [];
  const comparison = await runComparison(parseRecipe([SMALL, given]), {
    ...options,
    onRun: (arm, { seed }, isNew) => {
      runs.push(`${arm.name} ${seed}`);
      if (isNew) trained.push(`${arm.name} ${seed}`);
    },
    onDiverged: (arm, { seed }, isNew) => diverged.push(`${arm.name} ${seed}${isNew ? ' new' : ''}`),
  });
  return { comparison, runs, trained, diverged };
}

describe.skipIf(!loadNativeAddon().ok)('runs of a comparison', () => {
  it('that patience stopped early are complete', SLOW, async () => {
    const [communicator] = loopback(1);
    const options = { out: join(folder, 'patient'), arms: arms('a:', 'b:clampWeights=1'), seeds: [1] };
    const tuning = { lrs: [1e-6, 2e-6], seeds: [1001] };
    const first = await compare({ patience: 1 }, { ...options, tuning, communicator });
    expect(first.comparison.isComplete).toBe(true);
    expect(first.trained).toHaveLength(6);
    for (const { runs, overrides } of first.comparison.arms) {
      expect(runs.map(({ epochs }) => epochs < 30)).toEqual([true]);
      expect(tuning.lrs).toContain(overrides['lr']);
    }
    const second = await compare({ patience: 1 }, { ...options, tuning });
    expect(second.trained).toEqual([]);
    expect(second.runs).toHaveLength(6);
    expect(second.comparison).toEqual(first.comparison);
    expect(JSON.parse(await readFile(join(options.out, 'results.json'), 'utf8')).isComplete).toBe(true);
  });

  it('that diverge are left out, and not trained again; the others are compared', SLOW, async () => {
    const out = join(folder, 'diverging');
    const options = { out, arms: arms('a:', `b:${DIVERGING}`, 'c:clampWeights=1'), seeds: [1, 2] };
    const first = await compare(SHORT, options);
    expect(first.trained).toEqual(['a 1', 'c 1', 'a 2', 'c 2']);
    expect(first.diverged).toEqual(['b 1 new', 'b 2 new']);
    const { comparison } = first;
    expect(comparison.isComplete).toBe(true);
    expect(comparison.arms.map(({ runs, diverged }) => [runs.length, diverged.map(({ seed }) => seed)])).toEqual([
      [2, []],
      [0, [1, 2]],
      [2, []],
    ]);
    const [, { diverged, difference, disagreements }, third] = comparison.arms as [ArmResult, ArmResult, ArmResult];
    expect(diverged[0]!.message).toMatch(/^the loss became (NaN|Infinity) in epoch 1, batch \d$/);
    expect([difference, disagreements]).toEqual([null, []]);
    expect([third.difference?.n, third.disagreements.length]).toEqual([2, 2]);

    const [communicator] = loopback(1);
    for (const shared of [{}, { communicator }]) {
      const again = await compare(SHORT, { ...options, ...shared });
      expect([again.trained, again.runs.length, again.diverged]).toEqual([[], 4, ['b 1', 'b 2']]);
      expect(again.comparison).toEqual(comparison);
    }
    // With another recipe there is nothing to keep.
    const other = await compare(SHORT, { ...options, arms: arms('a:', 'b:lr=0.02'), seeds: [1] });
    expect([other.trained, other.diverged]).toEqual([['b 1'], []]);
  });

  it('are judged by held-out pictures where it is asked for', SLOW, async () => {
    const options = { out: join(folder, 'held-out'), arms: arms('a:', 'b:clampWeights=1'), seeds: [1, 2] };
    const { comparison } = await compare(SHORT, { ...options, judge: 'held-out' });
    const [a, b] = comparison.arms as [ArmResult, ArmResult];
    const differences = b.runs.map((run, i) => run.validationTop1! - a.runs[i]!.validationTop1!);
    expect(b.difference?.mean).toBeCloseTo((differences[0]! + differences[1]!) / 2, 12);
    expect([comparison.judge, b.disagreements]).toEqual(['held-out', []]);
    const tested = await compare(SHORT, options);
    expect(tested.trained).toEqual([]);
    expect([tested.comparison.judge, tested.comparison.arms[1]!.disagreements.length]).toEqual(['test', 2]);
  });

  it('of other data are refused, new ones before they are trained', SLOW, async () => {
    const options = { out: join(folder, 'other-data'), arms: arms('a:'), seeds: [1] };
    expect((await compare(SHORT, options)).trained).toEqual(['a 1']);
    const state = join(options.out, 'runs/a-seed-1/last/state.json');
    await writeFile(state, JSON.stringify({ ...JSON.parse(await readFile(state, 'utf8')), data: 'another set' }));
    await expect(compare(SHORT, { ...options, seeds: [1, 2] })).rejects.toMatchObject({
      code: 'E_FORMAT',
      at: join(options.out, 'runs/a-seed-2'),
      message: expect.stringMatching(/^the data set is not the one that .*a-seed-1 was trained on$/),
    });
    expect(await readdir(join(options.out, 'runs'))).toEqual(['a-seed-1']);
  });

  it('that diverge while a rate is chosen make it the worst, and with each rate an error', SLOW, async () => {
    const out = join(folder, 'diverging-rates');
    const tuning = { lrs: [1e6, 1e-8, 5e5], seeds: [1001, 1002] };
    const options = { out, arms: arms('a:optimizer=sgd,weightDecay=1e6'), seeds: [1] };
    for (const [communicator] of [[], loopback(1)]) {
      const { comparison, diverged } = await compare(SHORT, { ...options, tuning, communicator });
      expect(diverged).toHaveLength(4);
      const [{ tuning: tried, overrides, runs }] = comparison.arms as [ArmResult];
      expect(tried).toEqual([1e6, 1e-8, 5e5].map((lr) => ({ lr, validationTop1: lr > 1 ? null : expect.any(Number) })));
      expect([overrides['lr'], runs.length]).toEqual([1e-8, 1]);
      await expect(
        compare(SHORT, { ...options, tuning: { ...tuning, lrs: [1e6, 5e5] }, communicator }),
      ).rejects.toMatchObject({
        code: 'E_NUMERIC',
        message: 'arm "a" diverged with each learning rate: 1000000, 500000',
      });
    }
  });

  it(
    'that an earlier version began go on: without a digest of the teacher, with a size of pictures',
    SLOW,
    async () => {
      const stop = new AbortController();
      const teacher = async (_: Float32Array, count: number) => new Float32Array(10 * count);
      const options = { out: join(folder, 'earlier'), arms: arms('a:', 'b:clampWeights=1'), seeds: [1], teacher };
      const recipe = { ...SHORT, epochs: 2, teacher: 'float.onnx' };
      const begun = await compare(recipe, {
        ...options,
        signal: stop.signal,
        listen: ({ name }) => ({ onEpoch: () => (name === 'b' ? stop.abort() : undefined) }),
      });
      expect([begun.trained, begun.comparison.isComplete]).toEqual([['a 1'], false]);
      const recipes = ['a', 'b'].map((name) => join(options.out, 'runs', `${name}-seed-1`, 'recipe.json'));
      const read = async (path: string) => JSON.parse(await readFile(path, 'utf8')) as Recipe;
      for (const path of recipes) await writeFile(path, JSON.stringify({ ...(await read(path)), imageSize: 224 }));
      const now = { ...recipe, teacherSha256: 'ab'.repeat(32) };
      expect((await compare(now, options)).trained).toEqual(['b 1']);
      const { trained, runs } = await compare(now, options);
      expect([trained, runs]).toEqual([[], ['a 1', 'b 1']]);
      for (const path of recipes) expect(await read(path)).toMatchObject({ teacherSha256: '', imageSize: 224 });
      // Without a digest, its path is what tells a teacher.
      await expect(compare({ ...now, teacher: 'other.onnx' }, options)).rejects.toMatchObject({
        code: 'E_USAGE',
        message: 'teacher was "float.onnx" and is now "other.onnx"',
      });
    },
  );
});
