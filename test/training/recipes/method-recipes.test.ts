import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import type { RecipeInput } from '../../../src/training/recipes/recipe.ts';
import type { Teacher } from '../../../src/training/sessions/train-options.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

vi.setConfig({ testTimeout: 120_000 });
const native = loadNativeAddon();

/** Any network of ten classes. */
const teacher: Teacher = async (images, count) => {
  const pixels = images.length / count;
  return Float32Array.from({ length: 10 * count }, (_, i) => images[Math.floor(i / 10) * pixels + (i % 10) * 40] ?? 0);
};

describe.skipIf(!native.ok)(
  `the recipes of methods, on MNIST${native.ok ? '' : ` (skipped: ${native.reason})`}`,
  () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'bnn-methods-'));
    });
    afterAll(() => rm(folder, { recursive: true }));

    /** As the recipe says, but for what its size depends on. */
    async function run(name: string, more: RecipeInput = {}) {
      const recipe = JSON.parse(await readFile(new URL(`../../../models/${name}.json`, import.meta.url), 'utf8'));
      const small = {
        ...{ model: 'binarynet-mini', dataset: 'mnist', normalize: 'dataset', padCrop: 0, flip: false },
        ...{
          epochs: 2,
          warmupEpochs: 0.2,
          batchSize: 32,
          limitTrain: 1600,
          limitTest: 400,
          backend: 'native',
          threads: 1,
        },
      };
      return train(parseRecipe([recipe, small, more]), { out: join(folder, name), teacher });
    }
    const start = (name: string): RecipeInput => ({ init: join(folder, name, 'last/model.onnx') });

    it.each(['recu', 'adabin', 'ovsw'])('cifar10-resnet20-%s learns', async (name) => {
      expect((await run(`cifar10-resnet20-${name}`)).testTop1).toBeGreaterThan(0.6);
    });

    it.each([
      ['cifar10-resnet20-biper-1', 'cifar10-resnet20-biper-2', {}],
      ['cifar10-two-stage-1', 'cifar10-two-stage-2', { teacher: 'a function', teacherWeight: 0.1 }],
    ] as const)('%s learns, and %s goes on from it', async (first, second, more) => {
      await run(first, more);
      const { testTop1 } = await run(second, { ...more, ...start(first), epochs: 1, limitTrain: 320 });
      // Of so few pictures alone it would hardly learn.
      expect(testTop1).toBeGreaterThan(0.6);
    });
  },
);
