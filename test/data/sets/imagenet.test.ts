import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Batch } from '../../../src/data/batches/batch-maker.ts';
import { Batcher, createBatches } from '../../../src/data/batches/batches.ts';
import type { BrokenImage } from '../../../src/data/batches/decode-pictures.ts';
import type { FileSplit } from '../../../src/data/dataset.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { filesOf, writePicture } from '../pictures.ts';
import { sharedData } from '../shared-data.ts';
import { temporaryFolder } from '../temporary-folder.ts';

async function folderOf(files: readonly string[], list?: string): Promise<string> {
  const dir = await temporaryFolder();
  for (const file of files) {
    await mkdir(join(dir, file, '..'), { recursive: true });
    await writeFile(join(dir, file), '');
  }
  if (list !== undefined) await writeFile(join(dir, 'classes.txt'), list);
  return dir;
}

const TWO = ['train/n00000002/a.JPEG', 'train/n00000001/b.JPEG', 'val/n00000002/c.JPEG'];

test.each([
  ['no list: sorted names', undefined, ['n00000001', 'n00000002'], [0, 1], [1]],
  [
    'a list by WordNet id',
    'n00000002 great white shark\nn00000001 tench\n',
    ['great white shark', 'tench'],
    [1, 0],
    [0],
  ],
  ['with more than is there', 'n00000003\tx\nn00000001\ty\r\nn00000002\tz', ['x', 'y', 'z'], [1, 2], [2]],
  ['only folders', 'n00000002\nn00000001', ['n00000002', 'n00000001'], [1, 0], [0]],
  ['only names, as many as folders', 'tench\ngreat white shark\n', ['tench', 'great white shark'], [0, 1], [1]],
])('%s', async (_, list, classes, train, val) => {
  const data = await loadDataset('imagenet', { dir: await folderOf(TWO, list) });
  expect(data.classes).toEqual(classes);
  expect([...data.train.labels]).toEqual(train);
  expect([...data.test.labels]).toEqual(val);
});

test.each([
  ['names no folder', 'tench\n', 'line 1, "tench", names no folder, and 1 lines are not 2 folders'],
  ['lacks one', 'n00000001 tench\nn00000004 x\n', 'the folder "n00000002" is not among the 2 classes of the list'],
  ['has one twice', 'n00000001 a\nn00000002 b\nn00000001 c\n', 'the class "n00000001" is listed twice'],
])('a list that %s', async (_, list, message) => {
  const dir = await folderOf(TWO, list);
  await expect(loadDataset('imagenet', { dir })).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: join(dir, 'classes.txt'),
    message,
  });
});

test('nothing there, and a class of val that train has not', async () => {
  const dir = await temporaryFolder();
  await expect(loadDataset('imagenet', { dir })).rejects.toMatchObject({ code: 'E_NOT_FOUND', at: dir });
  const other = await folderOf([...TWO, 'val/n00000009/d.JPEG']);
  await expect(loadDataset('imagenet', { dir: other })).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: join(other, 'val', 'n00000009'),
  });
});

/** Without the words of libvips, which may come from another thread. */
function wordless(batch: Batch): Batch {
  return { ...batch, broken: batch.broken.map((image) => ({ ...image, message: '' })) };
}

async function collect(stream: AsyncIterable<Batch>): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of stream) batches.push(wordless(batch));
  return batches;
}

/** Pictures of several sizes, of which two are broken. */
async function smallSet(): Promise<{ split: FileSplit; broken: string[] }> {
  const dir = await temporaryFolder();
  for (let i = 0; i < 12; i++) await writePicture(join(dir, 'val', `n0000000${i % 3}`, `${i}.jpg`), 30 + i, 40 - 2 * i);
  const { test: split } = await loadDataset('imagenet', { dir, imageSize: 16 });
  const files = filesOf(split as FileSplit);
  const broken = [files[2]!, files[9]!];
  await writeFile(broken[0]!, (await readFile(broken[0]!)).subarray(0, 200));
  await writeFile(broken[1]!, 'no picture');
  return { split: split as FileSplit, broken };
}

const TRAIN = { batchSize: 5, seed: 2, shuffle: true, augment: { padCrop: 0, flip: true, cropScale: 0.08 } };

test('broken pictures are left out, counted and named once; the rest is as it would be without them', async () => {
  const { split, broken } = await smallSet();
  const seen: BrokenImage[] = [];
  const batcher = new Batcher(split, {
    ...TRAIN,
    onBroken: 'skip',
    prefetch: 3,
    workers: 2,
    onBrokenImage: (image) => seen.push(image),
  });
  const epochs = [await collect(batcher.epoch(0)), await collect(batcher.epoch(1))];
  await batcher.close();
  for (const batches of epochs) {
    expect(batches.map(({ count, broken: some }) => count + some.length)).toEqual([5, 5, 2]);
    const indices = batches.flatMap((batch) => [...batch.indices]);
    expect([...indices].sort((a, b) => a - b)).toEqual([0, 1, 3, 4, 5, 6, 7, 8, 10, 11]);
    for (const { images, labels, indices: order, count } of batches) {
      expect([images.length, labels.length]).toEqual([count * 16 * 16 * 3, count]);
      expect([...labels]).toEqual(Array.from(order, (i) => split.labels[i]));
    }
  }
  expect(seen.map(({ at }) => at).sort()).toEqual(broken.sort());
  expect(batcher.brokenCount).toBe(2);
  const here = new Batcher(split, { ...TRAIN, onBroken: 'skip' });
  expect(await collect(here.epoch(1))).toEqual(epochs[1]);
  const asBytes = await collect(new Batcher(split, { ...TRAIN, onBroken: 'skip', asBytes: true }).epoch(1));
  const floats = asBytes.map(({ count, bytes }) => {
    const { words, table } = bytes!;
    const pixels = new Uint8Array(words.buffer).subarray(0, count * 16 * 16 * 3);
    return Float32Array.from(pixels, (byte, i) => table[(i % 3) * 256 + byte] ?? Number.NaN);
  });
  expect(floats).toEqual(epochs[1]!.map(({ images }) => images));
});

test('a batch of nothing but broken pictures is passed over; a missing file stops', async () => {
  const { split } = await smallSet();
  const options = { batchSize: 1, onBroken: 'skip' } as const;
  const batches = await collect(createBatches(split, options));
  expect(batches.map(({ index }) => index)).toEqual([0, 1, 3, 4, 5, 6, 7, 8, 10, 11]);
  await rm(filesOf(split)[0]!);
  await expect(createBatches(split, options).next()).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});

test('more broken than good pictures stop in any case', async () => {
  const dir = await temporaryFolder();
  for (let i = 0; i < 40; i++) {
    if (i < 5) await writePicture(join(dir, 'val', 'a', `0${i}.png`), 16, 16);
    else await writeFile(join(dir, 'val', 'a', `${i + 10}.png`), 'no picture');
  }
  const { test: split } = await loadDataset('imagenet', { dir, imageSize: 16 });
  await expect(collect(createBatches(split, { batchSize: 4, onBroken: 'skip' }))).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: expect.stringMatching(/^19 of the first 24 pictures cannot be decoded/),
  });
});

test.each([1, 2, 3])('%d workers, arrays given back or not: the same bits', async (workers) => {
  const { split } = await smallSet();
  const options = { ...TRAIN, batchSize: 2, onBroken: 'skip' } as const;
  const here = new Batcher(split, options);
  const expected = [await collect(here.epoch(0)), await collect(here.epoch(1))];
  const batcher = new Batcher(split, { ...options, prefetch: 4, workers });
  for (const [epoch, batches] of expected.entries()) {
    let i = 0;
    for await (const batch of batcher.epoch(epoch)) {
      expect(wordless(batch)).toEqual(batches[i++]);
      batcher.recycle(batch);
      expect(batch.images).toHaveLength(0);
    }
    expect(await collect(batcher.epoch(epoch, 3))).toEqual(batches.filter(({ index }) => index >= 3));
  }
  await batcher.close();
});

test('crops change from epoch to epoch, and are refused for pictures of one size', async () => {
  const { split } = await smallSet();
  const options = { batchSize: 1, augment: TRAIN.augment };
  const first = await createBatches(split, { ...options, epoch: 0 }).next();
  const second = await createBatches(split, { ...options, epoch: 1 }).next();
  expect(first.value.images).not.toEqual(second.value.images);
  const { train } = await loadDataset('mnist', { limitTrain: 10, limitTest: 1 });
  expect(() => new Batcher(train, options)).toThrow(/cropScale is for pictures of various sizes/);
  expect(() => new Batcher(split, { ...options, augment: { ...TRAIN.augment, cropScale: 2 } })).toThrow(
    /cropScale is 2/,
  );
});

const shared = sharedData('imagenet-sample');
test.skipIf(shared.isMissing)('the sample: names of classes (skips where ../shared is missing)', async () => {
  const data = await loadDataset('imagenet', { dir: shared.path, limitTest: 20 });
  expect([data.train.count, data.test.count, data.classes.length]).toEqual([0, 20, 1000]);
  expect(data.classes.slice(0, 3)).toEqual(['tench', 'goldfish', 'great white shark']);
  for (const [i, file] of filesOf(data.test as FileSplit).entries()) {
    const line = (await readFile(join(shared.path, 'classes.txt'), 'utf8')).split('\n')[data.test.labels[i]!]!;
    expect(file.split('/').at(-2)).toBe(line.split('\t')[0]);
  }
});
