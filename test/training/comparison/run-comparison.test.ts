import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { createArms } from '../../../src/training/comparison/comparison.ts';
import { type ComparisonOptions, runComparison } from '../../../src/training/comparison/run-comparison-io.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import type { RecipeInput } from '../../../src/training/recipes/recipe.ts';
import { loopback } from '../../distributed/loopback.ts';

const SLOW = { timeout: 60_000 };
const SMALL = {
  ...{ limitTrain: 192, limitTest: 50, validation: 64, epochs: 30, batchSize: 64, estimator: 'ste' },
  ...{ backend: 'native', threads: 1 },
};

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
  const comparison = await runComparison(parseRecipe([SMALL, given]), {
    ...options,
    onRun: (arm, { seed }, isNew) => {
      runs.push(`${arm.name} ${seed}`);
      if (isNew) trained.push(`${arm.name} ${seed}`);
    },
  });
  return { comparison, runs, trained };
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
});
