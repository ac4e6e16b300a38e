import { open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { MemorySplit } from '../../../src/data/dataset.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const pixel = (i: number, c: number, p: number): number => (i * 31 + c * 101 + p * 7) % 256;

function planes(i: number): Uint8Array {
  return Uint8Array.from({ length: 3072 }, (_, k) => pixel(i, Math.floor(k / 1024), k % 1024));
}

/** Records of coarse label, fine label and pixels; those that are not given are holes in the file. */
async function writeBinary(
  path: string,
  images: number,
  labels: readonly (readonly [number, number])[],
): Promise<void> {
  const file = await open(path, 'w');
  for (const [i, [coarse, fine]] of labels.entries()) await file.write(Uint8Array.of(coarse, fine, ...planes(i)));
  await file.close();
  await truncate(path, images * 3074);
}

/** A dict as Python 3 pickles it from strings of Python 2: bytes as keys, an array of u8. */
function pythonFile(images: number, fine: number): Uint8Array {
  const text = (s: string) => Buffer.from(s, 'latin1');
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, images * 3072, true);
  const pixels = new Uint8Array(images * 3072);
  for (let i = 0; i < 3; i++) pixels.set(planes(i), i * 3072);
  const count = `J${String.fromCharCode(images & 255, (images >> 8) & 255, (images >> 16) & 255, 0)}`;
  const list = (label: number) => text(`(l${`K${String.fromCharCode(label)}a`.repeat(images)}`.replace('(l', ']'));
  return Buffer.concat([
    text('\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R'),
    text(
      `(K\x01${count}M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T`,
    ),
    size,
    pixels,
    text('tbU\x0dcoarse_labels'),
    list(1),
    text('U\x0bfine_labels'),
    list(fine),
    text('u.'),
  ]);
}

function expectPictures({ images }: MemorySplit): void {
  for (const [i, c, p] of [
    [0, 0, 0],
    [1, 2, 1023],
    [2, 1, 500],
  ] as const) {
    expect(images[(i * 1024 + p) * 3 + c]).toBe(pixel(i, c, p));
  }
}

test('binary: the fine label is the class', async () => {
  const dir = await temporaryFolder();
  await writeBinary(join(dir, 'train.bin'), 50_000, [
    [4, 0],
    [1, 99],
    [19, 51],
  ]);
  await writeBinary(join(dir, 'test.bin'), 10_000, [[3, 7]]);
  const data = await loadDataset('cifar100', { dir, limitTrain: 3, limitTest: 1 });
  expect([data.name, data.classes.length, data.classes[0], data.classes[51], data.classes[99]]).toEqual([
    'cifar100',
    100,
    'apple',
    'mushroom',
    'worm',
  ]);
  expect([...data.classes].sort()).toEqual(data.classes);
  expect([...data.train.labels]).toEqual([0, 99, 51]);
  expect([...data.test.labels]).toEqual([7]);
  expectPictures(data.train as MemorySplit);
});

test('pickles', async () => {
  const dir = await temporaryFolder();
  await writeFile(join(dir, 'train'), pythonFile(50_000, 42));
  await writeFile(join(dir, 'test'), pythonFile(10_000, 8));
  const data = await loadDataset('cifar100', { dir, limitTrain: 3, limitTest: 2 });
  expect([...data.train.labels, ...data.test.labels]).toEqual([42, 42, 42, 8, 8]);
  expectPictures(data.train as MemorySplit);
});

test('a label beyond the classes, a file too short, and none', async () => {
  const dir = await temporaryFolder();
  await writeBinary(join(dir, 'train.bin'), 50_000, [[0, 100]]);
  await writeBinary(join(dir, 'test.bin'), 9_999, []);
  const load = () => loadDataset('cifar100', { dir, limitTrain: 1 });
  await expect(load()).rejects.toMatchObject({ message: 'label 100 of image 0, expected 0 to 99' });
  await writeBinary(join(dir, 'train.bin'), 50_000, []);
  await expect(load()).rejects.toMatchObject({
    at: join(dir, 'test.bin'),
    message: 'a batch of 30736926 bytes, expected 30740000 (10000 records of 3074)',
  });
  await expect(loadDataset('cifar100', { dir: join(dir, 'nowhere') })).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    hint: expect.stringContaining('cifar-100-binary.tar.gz (161 MiB)'),
  });
});
