/** What recipes may ask for besides estimators, on this backend and on the native one. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import type { RecipeInput } from '../../../src/training/recipes/recipe.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';
import { describeWebgpu } from './device.ts';
import { BATCH, TINY } from './tiny-run.ts';

const native = loadNativeAddon();
const STE = { weightEstimator: 'ste-identity', activationEstimator: 'approx-sign' } as const;

const METHODS: Readonly<Record<string, RecipeInput>> = {
  'rates by role, Muon, restarts': {
    ...{ optimizer: 'muon', binaryLr: 0.5, normLr: 2, binaryDecay: 0.1, normDecay: 0 },
    ...{ schedule: 'restarts', restartEpochs: 0.5, weightDecay: 1e-3, clipGradients: 1, clipGradientsBy: 'role' },
  },
  ReCU: { model: 'tiny-learned', ...STE, weightTransform: 'recu', activationDeviation: 'through' },
  'BiPer, first stage': {
    ...{ model: 'tiny-learned', ...STE, weightTransform: 'biper', biperFrequency: 20, biperTau: 0.037 },
    ...{ activationDeviation: 'through', relaxShare: 1 },
  },
  AdaBin: { model: 'tiny-adabin', weightEstimator: 'ede', activationEstimator: 'approx-sign' },
  OvSW: {
    ...{ ...STE, activationDeviation: 'constant', silentScale: 0.04, silentDecay: 9e-4 },
    ...{ silentMomentum: 0.999, silentThreshold: 1e-4 },
  },
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-methods-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function trained(name: string, backend: 'webgpu' | 'native') {
  const out = join(folder, `${name} ${backend}`);
  const common = { model: 'tiny', dataset: 'noise', epochs: 1, batchSize: BATCH, lr: 0.01, backend };
  await train({ ...common, ...METHODS[name] }, { out, plugins: [TINY] });
  const [epoch] = await readHistory(join(out, 'history.jsonl'));
  return epoch?.trainLoss ?? Number.NaN;
}

describeWebgpu(`methods of recipes${native.ok ? '' : ` (skipped: ${native.reason})`}`, () => {
  it.skipIf(!native.ok).each(Object.keys(METHODS))('%s: the losses of an epoch are those of native', async (name) => {
    const [got, want] = [await trained(name, 'webgpu'), await trained(name, 'native')];
    expect(Math.abs(got / want - 1)).toBeLessThan(1e-5);
  });
});
