/** The fixed pictures on which a network is measured, and the full batches that it learns from. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import type { Split } from '../../../src/data/dataset.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { samplePictures } from '../../../src/data/splits/sample-pictures.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import type { RecipeInput } from '../../../src/training/recipes/recipe.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { createRunBatches } from '../../../src/training/sessions/run-batches.ts';
import type { Opening } from '../../../src/training/sessions/train-options.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

vi.setConfig({ testTimeout: 120_000 });
const native = loadNativeAddon();

it('a sample is of all classes, in a random order, and hardly changes when pictures are added', () => {
  const split = (count: number) =>
    ({
      ...{ kind: 'memory', count, height: 1, width: 2, channels: 1 },
      images: Uint8Array.from({ length: 2 * count }, (_, i) => ((i >> 1) >> (8 * (i & 1))) & 255),
      // Sorted by class, as folders are.
      labels: Int32Array.from({ length: count }, (_, i) => Math.floor(i / 500)),
    }) as unknown as Split & { readonly images: Uint8Array };
  const take = (count: number) => {
    const sample = samplePictures(split(count), 1000, 1) as ReturnType<typeof split>;
    expect(new Set(sample.labels.subarray(0, 100)).size).toBe(10);
    return Array.from({ length: sample.count }, (_, i) => sample.images[2 * i]! + 256 * sample.images[2 * i + 1]!);
  };
  const [before, after] = [take(4992), new Set(take(5000))];
  expect(new Set(before).size).toBe(1000);
  expect(before.filter((index) => after.has(index)).length).toBeGreaterThanOrEqual(995);
  expect(take(4992)).toEqual(before);
});

it('learning sees full batches, the sample holds full batches, and evaluation sees all', async () => {
  const dataset = await loadDataset('mnist', { limitTrain: 300, limitTest: 260 });
  const sizes = async (recipe: RecipeInput) => {
    const batches = createRunBatches(parseRecipe([{ indicators: true, ...recipe }]), dataset, null as never, {});
    const of = async (batcher: typeof batches.train) => {
      const counts = [];
      for await (const { count } of batcher.epoch(0)) counts.push(count);
      return counts;
    };
    const result = { train: await of(batches.train), test: await of(batches.test), sample: await of(batches.sample!) };
    await batches.close();
    return result;
  };
  expect(await sizes({ batchSize: 128 })).toEqual({ train: [128, 128], test: [250, 10], sample: [128, 128] });
  expect((await sizes({ batchSize: 64, samplePictures: 200 })).sample).toEqual([64, 64, 64]);
  expect((await sizes({ batchSize: 200, samplePictures: 100 })).sample).toEqual([200]);
  // Fewer pictures than a batch are one.
  expect(await sizes({ batchSize: 512 })).toMatchObject({ train: [300], sample: [300] });
});

describe.skipIf(!native.ok)(`the indicators of one network${native.ok ? '' : ` (skipped: ${native.reason})`}`, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bnn-sample-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('hardly depend on how many pictures a last batch would hold', async () => {
    const measured = [];
    for (const limitTrain of [4992, 5000, 4993]) {
      const out = join(folder, String(limitTrain));
      const openings: Opening[] = [];
      const recipe = { limitTrain, limitTest: 100, epochs: 1, lr: 0, indicators: true, backend: 'native', threads: 1 };
      await train(parseRecipe([recipe]), { out, onStart: (opening) => openings.push(opening) });
      expect(openings[0]!.stepsPerEpoch).toBe(39);
      measured.push((await readHistory(join(out, 'history.jsonl')))[0]!.indicators!);
    }
    const [first, ...others] = measured;
    for (const other of others) {
      for (const key of ['estimatingError', 'gradientVariance', 'gradientVariation', 'signEntropy'] as const) {
        expect(other[key]! / first![key]!, key).toBeGreaterThan(0.95);
        expect(other[key]! / first![key]!, key).toBeLessThan(1.05);
      }
    }
  });
});
