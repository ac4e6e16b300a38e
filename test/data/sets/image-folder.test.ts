import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { framePicture } from '../../../src/core/pictures/frame-picture.ts';
import { pictureFrame } from '../../../src/core/pictures/preprocessing.ts';
import { Batcher, createBatches } from '../../../src/data/batches/batches.ts';
import { type FileSplit, pictureFormOf } from '../../../src/data/dataset.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { decodeFile, filesOf, writePicture } from '../pictures.ts';
import { sharedData } from '../shared-data.ts';
import { temporaryFolder } from '../temporary-folder.ts';

test('classes are ranks of folder names; both splits; a class without pictures in one of them', async () => {
  const dir = await temporaryFolder();
  for (const file of [
    'train/b/1.png',
    'train/a/2.PNG',
    'train/a/1.png',
    'train/Z/1.webp',
    'val/b/9.png',
    'val/a/9.png',
  ]) {
    await writePicture(join(dir, file));
  }
  await writeFile(join(dir, 'train/a/readme.txt'), 'no picture');
  await writeFile(join(dir, 'train/a/.hidden.png'), 'no picture');
  const data = await loadDataset('image-folder', { dir, imageSize: 7 });
  expect(data.classes).toEqual(['Z', 'a', 'b']);
  const train = data.train as FileSplit;
  expect(filesOf(train)).toEqual(['Z/1.webp', 'a/1.png', 'a/2.PNG', 'b/1.png'].map((file) => join(dir, 'train', file)));
  expect([...train.labels]).toEqual([0, 1, 1, 2]);
  expect([...data.test.labels]).toEqual([1, 2]);
  expect([data.height, data.width, data.channels, train.frame.shorterSide]).toEqual([7, 7, 3, 8]);
  const again = await loadDataset('image-folder', { dir, imageSize: 7 });
  expect(again.fingerprint).toBe(data.fingerprint);
  await writePicture(join(dir, 'train/a/1.png'), 20, 20);
  expect((await loadDataset('image-folder', { dir, imageSize: 7 })).fingerprint).not.toBe(data.fingerprint);
});

test('a limit takes pictures of all classes, always the same', async () => {
  const dir = await temporaryFolder();
  for (const name of ['a', 'b', 'c', 'd']) {
    await mkdir(join(dir, 'test', name), { recursive: true });
    for (let i = 0; i < 100; i++) await writeFile(join(dir, 'test', name, `${i}.jpg`), '');
  }
  const load = async (limitTest: number) => (await loadDataset('image-folder', { dir, limitTest })).test as FileSplit;
  const some = await load(80);
  const files = filesOf(some);
  const perClass = [0, 1, 2, 3].map((label) => some.labels.filter((found) => found === label).length);
  expect(Math.min(...perClass)).toBeGreaterThan(10);
  for (const [i, file] of files.entries()) expect(dirname(file)).toBe(join(dir, 'test', 'abcd'[some.labels[i]!]!));
  expect(new Set(files).size).toBe(80);
  expect(filesOf(await load(30))).toEqual(files.slice(0, 30));
  expect((await load(1000)).count).toBe(400);
});

test('a broken picture stops with its name', async () => {
  const dir = await temporaryFolder();
  const paths = ['1.jpg', '2.jpg', '3.jpg'].map((file) => join(dir, 'test', 'a', file));
  for (const path of paths) await writePicture(path, 200, 200);
  const whole = await readFile(paths[1]!);
  for (const bytes of [whole.subarray(0, whole.length / 2), Buffer.from('hello'), Buffer.alloc(0)]) {
    await writeFile(paths[1]!, bytes);
    const { test: split } = await loadDataset('image-folder', { dir, imageSize: 64 });
    for (const prefetch of [0, 1]) {
      await expect(createBatches(split, { batchSize: 3, prefetch }).next()).rejects.toMatchObject({
        name: 'BnnError',
        code: 'E_FORMAT',
        at: paths[1],
        message: expect.stringContaining('cannot decode the picture'),
        hint: 'replace the picture, or remove it; a training leaves broken ones out with --broken-images skip',
      });
    }
  }
});

test('what is not an image folder', async () => {
  const dir = await temporaryFolder();
  await expect(loadDataset('image-folder')).rejects.toMatchObject({ code: 'E_USAGE', hint: 'add --data DIR' });
  await expect(loadDataset('image-folder', { dir, imageSize: 0 })).rejects.toMatchObject({ code: 'E_USAGE' });
  await mkdir(join(dir, 'train', 'empty'), { recursive: true });
  await expect(loadDataset('image-folder', { dir })).rejects.toMatchObject({ code: 'E_NOT_FOUND', at: dir });
  await writePicture(join(dir, 'train', 'cat', '1.png'));
  await writePicture(join(dir, 'test', 'dog', '1.png'));
  await expect(loadDataset('image-folder', { dir })).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: join(dir, 'test', 'dog'),
    message: expect.stringContaining('class "dog" is not among'),
  });
});

const shared = sharedData('imagenet-sample');
test.skipIf(shared.isMissing)(
  'ImageNet sample: only val, 1000 classes (skips where ../shared is missing)',
  async () => {
    const data = await loadDataset('image-folder', { dir: shared.path });
    expect([data.train.count, data.test.count, data.classes.length]).toEqual([0, 1000, 1000]);
    const listed = (await readFile(join(shared.path, 'classes.txt'), 'utf8')).trim().split('\n');
    expect(data.classes).toEqual(listed.map((line) => line.split('\t')[0]));
    const stream = createBatches(data.test, { batchSize: 8, prefetch: 1 });
    const { value } = await stream.next();
    await stream.close();
    expect(value.images).toHaveLength(8 * 224 * 224 * 3);
    expect([...value.labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    // Means of natural pictures, normalised by those of ImageNet, lie near 0.
    const mean = value.images.reduce((sum: number, x: number) => sum + x, 0) / value.images.length;
    expect(Math.abs(mean)).toBeLessThan(0.7);
  },
);

test.each([
  ['crop', 18],
  ['squash', null],
  ['pad', null],
] as const)('fit %s is how both splits are framed', async (fit, shorterSide) => {
  const dir = await temporaryFolder();
  for (const file of ['train/a/1.png', 'train/b/1.png', 'test/a/1.png', 'test/b/1.png']) {
    await writePicture(join(dir, file), 30, 20);
  }
  const data = await loadDataset('image-folder', { dir, imageSize: 16, fit });
  for (const split of [data.train, data.test] as FileSplit[]) {
    expect(split.frame).toEqual({ width: 16, height: 16, fit, shorterSide });
  }
  expect(pictureFormOf(data)).toMatchObject({ fit, shorterSide, channelOrder: 'RGB', layout: 'NCHW' });
  const batch = await new Batcher(data.test, { batchSize: 2, normalize: 'none' }).epoch(0).next();
  const seen = await decodeFile(join(dir, 'test/a/1.png'), (width, height) =>
    framePicture(width, height, pictureFrame(16, 16, fit)),
  );
  expect(Array.from(batch.value.images.subarray(0, 768), (value: number) => Math.round(value * 255))).toEqual([
    ...seen,
  ]);
});

test.each([0, 2])(
  'pictures that are framed alike are decoded once, and stay the same bits (%d ahead)',
  async (prefetch) => {
    const dir = await temporaryFolder();
    const files = ['train/a/1.png', 'train/a/2.png', 'train/b/1.png', 'test/a/1.png'].map((file) => join(dir, file));
    for (const [i, file] of files.entries()) await writePicture(file, 20 + i, 14);
    const { train } = await loadDataset('image-folder', { dir, imageSize: 8 });
    const options = { batchSize: 3, shuffle: true, seed: 4, augment: { padCrop: 1, flip: true }, prefetch };
    const fresh = new Batcher(train, options);
    const kept = new Batcher(train, { ...options, keepFramed: true });
    try {
      const first = (await kept.epoch(0).next()).value;
      expect(first.images).toEqual((await fresh.epoch(0).next()).value.images);
      const second = (await fresh.epoch(1).next()).value;
      for (const file of files) await writeFile(file, 'gone');
      expect((await kept.epoch(1).next()).value.images).toEqual(second.images);
      await expect(fresh.epoch(2).next()).rejects.toMatchObject({ code: 'E_FORMAT' });
    } finally {
      await fresh.close();
      await kept.close();
    }
  },
);
