import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { estimatorsFor } from '../../../src/estimators/table.ts';
import { bopGamma } from '../../../src/training/optimizers/bop.ts';
import { createEstimators } from '../../../src/training/program/create-estimators.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';

import { train } from '../../../src/training/sessions/trainer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-bop-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('γ falls as in the paper: by 0.1 after each 100 of 500 epochs', () => {
  const recipe = { bopGamma: 1e-4, bopDecay: 0.1, epochs: 500 };
  const rounded = [0, 99, 100, 199, 200, 300, 400, 499].map((epoch) => Number(bopGamma(recipe, epoch).toPrecision(6)));
  expect(rounded).toEqual([1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-7, 1e-8, 1e-8]);
  expect(bopGamma({ ...recipe, bopDecay: 1 }, 499)).toBe(1e-4);
  expect([0, 1, 2].map((epoch) => Number(bopGamma({ ...recipe, epochs: 3 }, epoch).toPrecision(6)))).toEqual([
    1e-4, 1e-5, 1e-7,
  ]);
});

it.each(estimatorsFor('activation'))('weights take their own gradient, activations that of %s', (estimator) => {
  const { at } = createEstimators(parseRecipe([{ optimizer: 'bop', estimator }]));
  for (const epoch of [0, 2, 4]) {
    expect([at(epoch).weightEstimator.factor(1), at(epoch).weightEstimator.factor(-1)]).toEqual([1, 1]);
  }
  expect(at(0).activationEstimator.name).toBe(estimator === 'ste-identity' ? 'ste' : estimator);
});

it.each([
  [{ weightEstimator: 'approx-sign' }, 'weightEstimator is approx-sign'],
  [{ weightEstimator: 'swish-sign' }, 'weightEstimator is swish-sign'],
  [{ weightTransform: 'recu' }, 'weightTransform is recu'],
  [{ clampWeights: 0.5 }, 'clampWeights is 0.5'],
  [{ relaxShare: 0.5 }, 'relaxShare is 0.5'],
])('has no latent weights, so %j is an error before anything is loaded', async (given, message) => {
  const recipe = parseRecipe([{ optimizer: 'bop', ...given }]);
  await expect(train(recipe, { out: join(folder, 'never') })).rejects.toMatchObject({
    code: 'E_USAGE',
    message: expect.stringContaining(message),
  });
});

it('flips weights whatever the estimator of activations is', { timeout: 120_000 }, async () => {
  const backend = loadNativeAddon().ok ? 'native' : 'cpu';
  const small = { limitTrain: 96, limitTest: 20, batchSize: 16, epochs: 1, threads: 1, backend, indicators: true };
  const out = join(folder, 'approx');
  await train(parseRecipe([{ ...small, optimizer: 'bop', estimator: 'approx-sign', lr: 0.01 }]), { out });
  const [record] = await readHistory(join(out, 'history.jsonl'));
  expect(record!.indicators!.stepFlipRate).toBeGreaterThan(0);
});
