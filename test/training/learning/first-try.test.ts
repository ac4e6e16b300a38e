/** What a first try with pictures of one's own takes: sizes, divisions and notes that nobody asked for. */

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { Builder } from '../../../src/graph/builder.ts';
import { writeModel } from '../../../src/onnx/model-io.ts';
import { validateModel } from '../../../src/tasks/validate-model.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import type { RecipeInput } from '../../../src/training/recipes/recipe.ts';
import { withImageSize } from '../../../src/training/recipes/run-data.ts';
import { readRecipe, recipeDigest } from '../../../src/training/sessions/run-folder-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';

vi.setConfig({ testTimeout: 120_000 });

const backend = loadNativeAddon().ok ? 'native' : 'cpu';
let folder: string;
let photos: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-first-'));
  photos = join(folder, 'photos');
  for (const [label, red] of [
    ['blue', 20],
    ['red', 230],
  ] as const) {
    await mkdir(join(photos, label), { recursive: true });
    for (let i = 0; i < 20; i++) {
      const background = { r: red, g: 6 * i, b: 250 - red };
      const picture = sharp({ create: { width: 20 + i, height: 24, channels: 3, background } });
      await picture.png().toFile(join(photos, label, `${i}.png`));
    }
  }
});
afterAll(() => rm(folder, { recursive: true }));

const run = async (name: string, recipe: RecipeInput, resume = false) => {
  const notes: string[] = [];
  const out = join(folder, name);
  const fields = { dataset: 'image-folder', data: photos, epochs: 1, backend, threads: 1, ...recipe } as RecipeInput;
  const result = await train(fields, { out, resume, onNote: (note) => notes.push(note) });
  return { ...result, out, notes, recipe: await readRecipe(out) };
};

describe('the size of pictures is that of the network', () => {
  const sizeOf = async (recipe: RecipeInput) =>
    (await withImageSize(parseRecipe([{ dataset: 'image-folder', ...recipe }]))).imageSize;

  it('of the zoo, or of the file to start from; unless one is given, and only where pictures have various sizes', async () => {
    expect(await sizeOf({ model: 'resnet20' })).toBe(32);
    expect(await sizeOf({ model: 'binarynet-mini' })).toBe(28);
    expect(await sizeOf({ model: 'resnet18' })).toBe(224);
    expect(await sizeOf({ model: 'resnet20', imageSize: 48 })).toBe(48);
    expect(await sizeOf({ dataset: 'mnist' })).toBe(0);
    const file = join(folder, 'start.onnx');
    await writeModel(file, buildModel('resnet20', { seed: 1, imageSize: 20 }));
    expect(await sizeOf({ model: '', init: file })).toBe(20);
    // Of channels last, which no network of this project has: the training says so, by both shapes.
    const last = new Builder('last');
    last.output(last.op('Relu', [last.input('x', 'float32', ['N', 30, 30, 3])]), 'float32', ['N', 30, 30, 3]);
    await writeModel(file, last.model);
    expect(await sizeOf({ model: '', init: file })).toBe(30);
  });

  it('and of the run that goes on, whatever the network would be given today', async () => {
    const first = await run('size', { split: 0.2, batchSize: 4, model: 'binarynet-mini' });
    expect(first.recipe?.imageSize).toBe(28);
    const again = await run('size', { split: 0.2, batchSize: 4, model: 'binarynet-mini' }, true);
    expect(again.recipe).toEqual(first.recipe);
  });

  it('a recipe of earlier versions, whose default was 224, has the digest that it had', () => {
    const before = parseRecipe([{ imageSize: 224 }]);
    expect(recipeDigest(before)).toBe(recipeDigest(parseRecipe([])));
    expect(recipeDigest(parseRecipe([{ imageSize: 32 }]))).not.toBe(recipeDigest(before));
  });
});

describe('few steps', () => {
  it('are said, with a batch size that gives enough of them', async () => {
    const { notes } = await run('few', { split: 0.2, batchSize: 32, model: 'binarynet-mini', limitTrain: 32 });
    expect(notes.join('\n')).toContain(
      'an epoch is one step of 32 pictures: a network learns little from so few; try --batch-size 4, or more --epochs',
    );
  });

  it('and a warm-up that takes most of the epochs', async () => {
    const recipe = { split: 0.2, batchSize: 3, model: 'binarynet-mini', limitTrain: 30, epochs: 2 };
    const warming = async (warmupEpochs: number) =>
      (await run(`warm-${warmupEpochs}`, { ...recipe, warmupEpochs })).notes.join('\n');
    expect(await warming(2)).toContain(
      'the learning rate rises for 2 of 2 epochs, all of them, so it never falls; try --warmup-epochs 0.2',
    );
    expect(await warming(1.5)).toContain('rises for 1.5 of 2 epochs, more than half of them');
    expect(await warming(1)).not.toContain('rises');
  });

  it('are not said where there are ten', async () => {
    const { notes } = await run('enough', { split: 0.2, batchSize: 3, model: 'binarynet-mini', limitTrain: 30 });
    expect(notes.join('\n')).not.toContain('steps');
  });
});

it('a trained network learns other classes with a new last layer; its run tells what to validate it on', async () => {
  const first = await run('backbone', { dataset: 'mnist', data: '', limitTrain: 64, limitTest: 20, batchSize: 32 });
  const options = { split: 0.25, batchSize: 4, epochs: 3, lr: 0.002, model: '', newClassifier: true };
  // Grey pictures do not fit a folder of colour pictures.
  await expect(run('no', { ...options, init: join(first.out, 'last/model.onnx') })).rejects.toMatchObject({
    code: 'E_SHAPE',
  });
  const file = join(folder, 'colour.onnx');
  await writeModel(file, buildModel('binarynet-mini', { seed: 1, channels: 3, classes: 7 }));
  const { out, testTop1, notes, recipe } = await run('learned', { ...options, init: file });
  expect(notes.join('\n')).toContain('starts from random weights');
  expect(recipe).toMatchObject({ split: 0.25, imageSize: 28 });
  expect(testTop1).toBe(1);
  expect(await validateModel({ model: out })).toMatchObject({ images: 10, top1: 1, dataset: { name: 'image-folder' } });
});

describe('a start that fails', () => {
  it.each([
    ['one class', { alone: 4 }, /all pictures are of one class/],
    ['an empty class', { a: 4, b: 0 }, /the class "b" has no pictures/],
  ])('leaves nothing: %s', async (name, classes, message) => {
    const data = join(folder, name);
    for (const [label, count] of Object.entries(classes)) {
      await mkdir(join(data, label), { recursive: true });
      for (let i = 0; i < count; i++) {
        await writeFile(join(data, label, `${i}.png`), await readFile(join(photos, 'red/0.png')));
      }
    }
    const before = (await readdir(folder)).sort();
    await expect(run('failed', { data, split: 0.5, model: 'binarynet-mini' })).rejects.toThrow(message);
    expect((await readdir(folder)).sort()).toEqual(before);
  });
});
