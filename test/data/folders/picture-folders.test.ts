/** Folders of pictures as they come: with other files among them, deeper, empty, linked, not divided. */

import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { createBatches } from '../../../src/data/batches/batches.ts';
import type { Dataset, FileSplit } from '../../../src/data/dataset.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { filesOf, noise } from '../pictures.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const BMP = Buffer.concat([Buffer.from('BM'), Buffer.alloc(60)]);

/** Of `name: content` or names alone, which become pictures, whatever their names say. */
async function folderOf(files: readonly (string | readonly [string, string | Buffer])[]): Promise<string> {
  const dir = await temporaryFolder();
  for (const file of files) {
    const [name, content] = typeof file === 'string' ? [file, await picture()] : file;
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), content);
  }
  return dir;
}

function picture(): Promise<Buffer> {
  return sharp(noise(9, 9), { raw: { width: 9, height: 9, channels: 3 } })
    .jpeg()
    .toBuffer();
}

const load = (dir: string, name = 'image-folder') => loadDataset(name, { dir, imageSize: 8 });

function namesOf(split: Dataset['train'], dir: string): string[] {
  return filesOf(split as FileSplit).map((file) => file.slice(dir.length + 1));
}

const FINE = ['train/a/1.jpg', 'train/b/1.jpg', 'test/a/1.jpg', 'test/b/1.jpg'];

test.each(['image-folder', 'imagenet'])('%s: an empty class folder is named, not a class', async (name) => {
  const dir = await folderOf(FINE.map((file) => file.replace('test', 'val')));
  await mkdir(join(dir, 'train', 'empty'));
  await expect(load(dir, name)).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: join(dir, 'train', 'empty'),
    message: 'the class "empty" has no pictures',
  });
  await rm(join(dir, 'train', 'empty'), { recursive: true });
  await mkdir(join(dir, 'val', 'empty'));
  const data = await load(dir, name);
  expect([data.classes, data.notes]).toEqual([['a', 'b'], []]);
});

test('a class of nothing but formats that are not read says so', async () => {
  const dir = await folderOf([...FINE, ['train/c/1.bmp', BMP], ['train/c/2.bmp', BMP], ['train/c/x.txt', 'text']]);
  await expect(load(dir)).rejects.toMatchObject({
    at: join(dir, 'train', 'c'),
    message: 'the class "c" has no pictures; left out: BMP (2), other files .txt (1)',
    hint: 'remove the folder, or put pictures into it (JPEG, PNG, WebP, GIF, TIFF, AVIF)',
  });
  const all = await folderOf([
    ['train/a/1.bmp', BMP],
    ['test/a/1', '<svg xmlns="x"/>'],
  ]);
  await expect(load(all)).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    at: all,
    message: expect.stringMatching(/; left out: .*train: BMP \(1\); .*test: SVG \(1\)$/),
  });
});

test('pictures by content: .jfif, without extension, with the wrong one', async () => {
  const dir = await folderOf([...FINE, 'train/a/2.jfif', 'train/a/3', 'train/a/4.bmp', 'train/b/5.JPE']);
  const data = await load(dir);
  expect(namesOf(data.train, dir)).toEqual(
    ['a/1.jpg', 'a/2.jfif', 'a/3', 'a/4.bmp', 'b/1.jpg', 'b/5.JPE'].map((file) => `train/${file}`),
  );
  expect(data.notes).toEqual([]);
  const { value } = await createBatches(data.train, { batchSize: 6 }).next();
  expect([...value.labels]).toEqual([0, 0, 0, 0, 1, 1]);
});

test('what is left out is counted by its reason and said, for each split', async () => {
  const dir = await folderOf([
    ...FINE,
    ['train/a/2.bmp', BMP],
    ['train/a/3.bmp', BMP],
    ['train/a/notes.csv', 'a,b'],
    ['train/a/empty', ''],
    ['train/b/page', '<!DOCTYPE html><html>'],
    ['train/__MACOSX/a/._1.jpg', 'x'],
    ['train/a/__MACOSX/._1.jpg', 'x'],
    'train/lost.jpg',
  ]);
  await symlink(join(dir, 'nowhere'), join(dir, 'train/b/broken.jpg'));
  await symlink('itself.jpg', join(dir, 'train/b/itself.jpg'));
  await symlink(join(dir, 'train'), join(dir, 'train/b/loop'));
  execFileSync('mkfifo', [join(dir, 'test/b/pipe.jpg')]);
  await symlink('/dev/zero', join(dir, 'test/b/zero.jpg'));
  const { notes = [], classes, train } = await load(dir);
  expect(classes).toEqual(['a', 'b']);
  expect(train.count).toBe(2);
  const all =
    'folders that programs leave behind (2), BMP (2), broken links (2), empty files (1), other files .csv (1), ' +
    'links to folders (1), HTML (1), not in the folder of a class (1)';
  expect(notes).toEqual([
    `${join(dir, 'train')}: 11 left out: ${all}; e.g. ${join(dir, 'train/__MACOSX')}`,
    `${join(dir, 'test')}: 2 left out: pipes, devices or sockets (2); e.g. ${join(dir, 'test/b/pipe.jpg')}`,
  ]);
});

test('pictures deeper in the folder of a class belong to it; several folders in it are said', async () => {
  const dir = await folderOf([...FINE, 'train/c/images/1.jpg', 'train/d/x/1.jpg', 'train/d/y/z/2.jpg', 'test/c/1.jpg']);
  const data = await load(dir);
  expect(data.classes).toEqual(['a', 'b', 'c', 'd']);
  expect(namesOf(data.train, dir).slice(2)).toEqual(
    ['c/images/1.jpg', 'd/x/1.jpg', 'd/y/z/2.jpg'].map((f) => `train/${f}`),
  );
  expect([...data.train.labels]).toEqual([0, 1, 2, 3, 3]);
  expect(data.notes).toEqual([
    `${join(dir, 'train')}: all pictures below a folder are of its class: d`,
    `${join(dir, 'test')}: no pictures of 1 of 4 classes: d`,
  ]);
});

const TINY = [
  'train/n01/images/n01_0.JPEG',
  ['train/n01/n01_boxes.txt', 'n01_0.JPEG\t0\t0\t9\t9\n'] as const,
  'train/n02/images/n02_0.JPEG',
  'val/images/val_0.JPEG',
  'val/images/val_1.JPEG',
  'val/images/val_10.JPEG',
  'test/images/test_0.JPEG',
  ['wnids.txt', 'n02\nn01\n'] as const,
];

test.each(['image-folder', 'imagenet'])('Tiny ImageNet as it is unpacked, as %s', async (name) => {
  const lines = ['val_0.JPEG\tn02\t0\t32\t44\t62', 'val_1.JPEG\tn01\t1\t1\t2\t2', 'val_10.JPEG\tn02\t0\t0\t9\t9', ''];
  const dir = await folderOf([...TINY, ['val/val_annotations.txt', lines.join('\r\n')]]);
  const { classes, train, test: held } = await load(dir, name);
  expect(classes).toEqual(['n01', 'n02']);
  expect(namesOf(train, dir)).toEqual(['train/n01/images/n01_0.JPEG', 'train/n02/images/n02_0.JPEG']);
  const labelled = namesOf(held, dir).map((file, i) => [file, classes[held.labels[i]!]]);
  expect(Object.fromEntries(labelled)).toEqual({
    'val/images/val_0.JPEG': 'n02',
    'val/images/val_1.JPEG': 'n01',
    'val/images/val_10.JPEG': 'n02',
  });
});

test('annotations that fit no picture are named with their line', async () => {
  for (const [text, message] of [
    ['val_0.JPEG\tn01\nval_7.JPEG\tn02\n', 'line 2 names the picture "val_7.JPEG", which is not in images'],
    ['val_0.JPEG\n', 'line 1 names no class'],
    ['val_0.JPEG\tn01\nval_0.JPEG\tn02\n', 'line 2 names the picture "val_0.JPEG"'],
  ] as const) {
    const dir = await folderOf([...TINY, ['val/val_annotations.txt', text]]);
    await expect(load(dir)).rejects.toMatchObject({
      code: 'E_FORMAT',
      at: join(dir, 'val', 'val_annotations.txt'),
      message: expect.stringContaining(message),
    });
  }
});

test('classes that only the test split has are named, with the one that is meant', async () => {
  const dir = await folderOf([...FINE, 'train/kitten/1.jpg', 'test/Kitten/1.jpg', 'test/dog/1.jpg']);
  await expect(load(dir)).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: join(dir, 'test', 'Kitten'),
    message: '2 classes, Kitten, dog, are not among the 3 classes of train',
    hint: expect.stringContaining('is it "kitten"?'),
  });
});

test('a folder above, and pictures that are not divided: the hint says what to do', async () => {
  const above = await folderOf([...FINE.map((file) => `photos/${file}`), ['__MACOSX/photos/._x', 'x']]);
  await expect(load(above)).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    hint: `give --data ${join(above, 'photos')}`,
  });
  const flat = await folderOf(['cat/1.jpg', 'dog/1.jpg']);
  await expect(load(flat)).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    hint: expect.stringMatching(
      /^train with --split 0.2 to test .* run folder\), or divide the folders of the classes into train and test/,
    ),
  });
});

test('a test folder without pictures does not hide val', async () => {
  const dir = await folderOf(['train/a/1.jpg', 'val/a/1.jpg', ['test/readme/x.txt', 'x']]);
  expect((await load(dir)).test.count).toBe(1);
});

test('a picture changed at equal size is another data set; the same pictures elsewhere are the same', async () => {
  const dir = await folderOf([...FINE, ['train/a/9.jpg', Buffer.from('one')]]);
  const { fingerprint } = await load(dir);
  const copy = await temporaryFolder();
  for (const file of [...FINE, 'train/a/9.jpg']) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await copyFile(join(dir, file), join(copy, file));
    await utimes(join(copy, file), 1, 1);
  }
  expect((await load(copy)).fingerprint).toBe(fingerprint);
  await writeFile(join(copy, 'train/a/9.jpg'), 'two');
  await utimes(join(copy, 'train/a/9.jpg'), 1, 1);
  expect((await load(copy)).fingerprint).not.toBe(fingerprint);
});

test('of a large set, the time of a change tells', async () => {
  const dir = await folderOf(FINE);
  // Sparse: it takes no disk.
  const large = join(dir, 'train/a/large.tif');
  await writeFile(large, '');
  await truncate(large, 300 * 2 ** 20);
  await utimes(large, 1000, 1000);
  const { fingerprint } = await load(dir);
  await utimes(large, 1000, 1000.5);
  expect((await load(dir)).fingerprint).toBe(fingerprint);
  await utimes(large, 1000, 1002);
  expect((await load(dir)).fingerprint).not.toBe(fingerprint);
  const stream = createBatches((await load(dir)).train, { batchSize: 3, onBroken: 'skip' });
  const { value } = await stream.next();
  expect(value.broken).toMatchObject([{ at: large, message: 'a file of 314572800 bytes, at most 268435456 are read' }]);
});

test.each(['mkfifo', 'zero'])('a picture that becomes a %s after it was listed is refused at once', async (kind) => {
  const dir = await folderOf(FINE);
  const { train } = await load(dir);
  const path = join(dir, 'train/a/1.jpg');
  await rm(path);
  if (kind === 'mkfifo') execFileSync('mkfifo', [path]);
  else await symlink('/dev/zero', path);
  for (const onBroken of ['stop', 'skip'] as const) {
    await expect(createBatches(train, { batchSize: 2, prefetch: 1, onBroken }).next()).rejects.toMatchObject({
      code: 'E_IO',
      at: path,
    });
  }
});

test.each(['image-folder', 'imagenet', 'webdataset', 'mnist', 'cifar10'])('%s given a pipe', async (name) => {
  const pipe = join(await temporaryFolder(), 'pipe.tar');
  execFileSync('mkfifo', [pipe]);
  await expect(loadDataset(name, { dir: pipe })).rejects.toMatchObject({ code: 'E_IO', at: pipe });
});

test.each([
  ['cifar10', 'data_batch_1.bin'],
  ['cifar100', 'train.bin'],
  ['mnist', 'train-images-idx3-ubyte'],
])('%s with a pipe in place of %s', async (name, file) => {
  const dir = await temporaryFolder();
  execFileSync('mkfifo', [join(dir, file)]);
  await expect(loadDataset(name, { dir })).rejects.toMatchObject({ code: 'E_IO', at: join(dir, file) });
});
