/** A first convolution that whitens the pictures. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Matrix } from 'ml-matrix';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { Model } from '../../../src/graph/model.ts';
import { readModel } from '../../../src/onnx/model-io.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { train } from '../../../src/training/sessions/trainer.ts';
import { whiteningFilters, whitenStem } from '../../../src/training/start/whitened-stem.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';

vi.setConfig({ testTimeout: 60_000 });

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-whiten-'));
});
afterAll(() => rm(folder, { recursive: true }));

const KERNEL = 5;
const SIZE = 28;

const RECIPE = { model: 'binarynet-mini', dataset: 'mnist', backend: 'cpu', seed: 3, whitenStem: true } as const;
const load = (limitTrain: number) => loadDataset('mnist', { limitTrain, limitTest: 2 });
const dataset = load(128);

/** Weights [filters][25] of the first layer. */
function filtersOf({ graph }: Model): number[][] {
  const conv = [...graph.nodes()].find((node) => node.is('Conv'))!;
  const weights = Array.from(conv.requiredInput(1).constant!.data as Float32Array);
  const size = KERNEL ** 2;
  return Array.from({ length: weights.length / size }, (_, i) => weights.slice(i * size, (i + 1) * size));
}

const drawn = (): Model => buildModel(RECIPE.model, { seed: 3, classes: 10, channels: 1, imageSize: SIZE, values: {} });

async function whitened(data = dataset): Promise<Model> {
  const model = drawn();
  await whitenStem(model, parseRecipe([RECIPE]), await data);
  return model;
}

/** Covariance of what the filters give for all windows of the training pictures, by its definition. */
async function covarianceOf(filters: readonly (readonly number[])[]): Promise<number[][]> {
  const { train: split, mean, std } = await dataset;
  const images = (split as typeof split & { images: Uint8Array }).images;
  const answers: number[][] = [];
  for (let n = 0; n < split.count; n++)
    for (let top = 0; top + KERNEL <= SIZE; top += 2)
      for (let left = 0; left + KERNEL <= SIZE; left += 2) {
        const window = Array.from({ length: KERNEL ** 2 }, (_, i) => {
          const byte = images[(n * SIZE + top + Math.floor(i / KERNEL)) * SIZE + left + (i % KERNEL)]!;
          return (byte / 255 - mean[0]!) / std[0]!;
        });
        answers.push(filters.map((filter) => filter.reduce((sum, w, i) => sum + w * window[i]!, 0)));
      }
  const means = filters.map((_, i) => answers.reduce((sum, answer) => sum + answer[i]!, 0) / answers.length);
  return filters.map((_, i) =>
    filters.map(
      (_, j) => answers.reduce((sum, a) => sum + (a[i]! - means[i]!) * (a[j]! - means[j]!), 0) / answers.length,
    ),
  );
}

it('what its filters give does not correlate, and each has its negative', async () => {
  const filters = filtersOf(await whitened());
  expect(filters).toHaveLength(32);
  for (let i = 0; i < 32; i += 2) expect(filters[i + 1]).toEqual(filters[i]!.map((w) => -w));
  const positive = filters.filter((_, i) => i % 2 === 0);
  const covariance = await covarianceOf(positive);
  for (const [i, row] of covariance.entries())
    for (const [j, value] of row.entries()) expect(Math.abs(value - (i === j ? 1 : 0))).toBeLessThan(0.15);
  // As they are drawn, they correlate.
  const before = await covarianceOf(filtersOf(drawn()).slice(0, 2));
  expect(Math.abs(before[0]![1]!) / Math.sqrt(before[0]![0]! * before[1]![1]!)).toBeGreaterThan(0.15);
});

it('a run starts from them', async () => {
  const out = join(folder, 'run');
  await train({ ...RECIPE, limitTrain: 12, limitTest: 2, epochs: 1, lr: 0 }, { out });
  expect(filtersOf(await readModel(join(out, 'last', 'model.onnx')))).toEqual(filtersOf(await whitened(load(12))));
});

it('filters beyond two for each direction keep theirs, with a variance of 1', () => {
  const covariance = [
    [5, 1.5],
    [1.5, 1],
  ];
  const given = Array.from({ length: 6 }, (_, i) => [i + 1, 3 - i]);
  const found = whiteningFilters(new Matrix(covariance), new Matrix(given)).to2DArray();
  const variance = ([x = 0, y = 0]: readonly number[]) => 5 * x * x + 3 * x * y + y * y;
  for (const filter of found) expect(variance(filter)).toBeCloseTo(1, 2);
  // The first direction is that of most variance: of eigenvalue 5.5 and vector (3, 1).
  expect(found[0]![0]! / found[0]![1]!).toBeCloseTo(3);
  expect(found[4]![0]! / found[4]![1]!).toBeCloseTo(5 / -1);
  expect(found[5]![0]! / found[5]![1]!).toBeCloseTo(6 / -2);
});

it('a network that does not begin with a convolution is refused', async () => {
  const model = new Model();
  const input = model.graph.addInput('x', { dtype: 'float32', shape: [null, 1, SIZE, SIZE] });
  model.graph.addOutput(model.graph.addNode('Flatten', [input]).output);
  await expect(
    whitenStem(model, parseRecipe([{ whitenStem: true, model: 'mine' }]), await dataset),
  ).rejects.toMatchObject({
    code: 'E_USAGE',
    message: expect.stringContaining('mine does not begin with a convolution of float weights'),
  });
});
