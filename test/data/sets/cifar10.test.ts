import { createWriteStream } from 'node:fs';
import { mkdir, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { expect, test } from 'vitest';
import type { MemorySplit } from '../../../src/data/dataset.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { sharedData } from '../shared-data.ts';
import { statisticsOf } from '../statistics.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const BATCH_BYTES = 10_000 * 3073;
const BINARY = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`).concat('test_batch.bin');
const PYTHON = BINARY.map((name) => name.replace('.bin', ''));

/** Pixel of a made-up image: channel c, row y, column x of image i. */
const pixel = (i: number, c: number, y: number, x: number): number => (i * 31 + c * 101 + y * 7 + x * 3) % 256;

/** u8[count][3][32][32], as the files have it. */
function planes(count: number): Uint8Array {
  const bytes = new Uint8Array(count * 3072);
  let at = 0;
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < 32; y++) for (let x = 0; x < 32; x++) bytes[at++] = pixel(i, c, y, x);
  }
  return bytes;
}

/** A binary batch whose first records have these labels and made-up pictures; the rest are zeros, not stored on the disk. */
async function writeBinary(path: string, labels: readonly number[]): Promise<void> {
  const pixels = planes(labels.length);
  const file = await open(path, 'w');
  for (const [i, label] of labels.entries()) {
    await file.write(Uint8Array.of(label, ...pixels.subarray(i * 3072, (i + 1) * 3072)));
  }
  await file.close();
  await truncate(path, BATCH_BYTES);
}

async function binaryFolder(labels = [3, 9, 0]): Promise<string> {
  const dir = await temporaryFolder();
  for (const name of BINARY) await writeBinary(join(dir, name), labels);
  return dir;
}

/** A batch as Python 2 wrote it: protocol 2, byte strings, an array by `_reconstruct`. */
function pythonBatch(label: number): Uint8Array {
  const head = Buffer.from(
    '\x80\x02}q\x01(U\x04dataq\x02' +
      'cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05' +
      '(K\x01M\x10\x27M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb' +
      '\x89T',
    'latin1',
  );
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, 10_000 * 3072, true);
  const pixels = new Uint8Array(10_000 * 3072);
  pixels.set(planes(3));
  const labels = Buffer.from(`tbU\x06labels](${`K${String.fromCharCode(label)}`.repeat(10_000)}eu.`, 'latin1');
  return Buffer.concat([head, size, pixels, labels]);
}

function expectMadeUp(split: MemorySplit, labels: number[]): void {
  expect(split.count).toBe(labels.length);
  expect([...split.labels]).toEqual(labels);
  for (const [i, c, y, x] of [
    [0, 0, 0, 0],
    [1, 2, 31, 5],
    [2, 1, 17, 31],
  ] as const) {
    expect(split.images[((i * 32 + y) * 32 + x) * 3 + c]).toBe(pixel(i, c, y, x));
  }
}

test('binary batches in a folder, and one above it', async () => {
  const dir = await binaryFolder();
  const data = await loadDataset('cifar10', { dir, limitTrain: 3, limitTest: 3 });
  expectMadeUp(data.train as MemorySplit, [3, 9, 0]);
  expectMadeUp(data.test as MemorySplit, [3, 9, 0]);
  const parent = await temporaryFolder();
  await symlink(dir, join(parent, 'cifar-10-batches-bin'));
  const same = await loadDataset('cifar10', { dir: parent, limitTrain: 3, limitTest: 3 });
  expect(same.fingerprint).toBe(data.fingerprint);
});

test('pickles, and the same in a .tar.gz', async () => {
  const dir = await temporaryFolder();
  const folder = join(dir, 'cifar-10-batches-py');
  await mkdir(folder);
  const batch = pythonBatch(4);
  await writeFile(join(folder, 'data_batch_1'), batch);
  for (const name of PYTHON.slice(1)) await symlink('data_batch_1', join(folder, name));
  const limits = { limitTrain: 3, limitTest: 3 };
  const data = await loadDataset('cifar10', { dir, ...limits });
  expectMadeUp(data.train as MemorySplit, [4, 4, 4]);
  expect(data.root).toBe(folder);

  const archive = join(dir, 'some.tar.gz');
  const tar = pack();
  for (const name of PYTHON) tar.entry({ name: `cifar-10-batches-py/${name}` }, batch as Buffer);
  tar.entry({ name: 'cifar-10-batches-py/readme.html' }, 'hello');
  tar.finalize();
  await pipeline(tar, createGzip({ level: 1 }), createWriteStream(archive));
  let doneBytes = 0;
  const unpacked = await loadDataset('cifar10', {
    dir: archive,
    ...limits,
    onProgress: (progress) => {
      doneBytes = progress.doneBytes;
    },
  });
  expect(unpacked.fingerprint).toBe(data.fingerprint);
  expect(doneBytes).toBe((await readFile(archive)).length);

  await truncate(archive, 100_000);
  await expect(loadDataset('cifar10', { dir: archive })).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: archive,
    message: expect.stringMatching(/cannot unpack.*unexpected end of file/),
  });
});

test('an archive that is no archive, and one without batches', async () => {
  const dir = await temporaryFolder();
  const junk = join(dir, 'junk.tar.gz');
  await writeFile(junk, 'hello');
  await expect(loadDataset('cifar10', { dir: junk })).rejects.toMatchObject({ code: 'E_FORMAT', at: junk });
  const other = join(dir, 'other.tar.gz');
  const tar = pack();
  tar.entry({ name: 'readme' }, 'hello');
  tar.finalize();
  await pipeline(tar, createGzip(), createWriteStream(other));
  await expect(loadDataset('cifar10', { dir: other })).rejects.toMatchObject({
    code: 'E_FORMAT',
    message: expect.stringContaining('none of the CIFAR-10 batches'),
  });
});

test('a missing folder says where it looked and names --download', async () => {
  const dir = join(await temporaryFolder(), 'nowhere');
  await expect(loadDataset('cifar10', { dir })).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    at: dir,
    message: expect.stringContaining('cifar-10-batches-bin'),
    hint: expect.stringContaining('--download'),
  });
});

test('damaged batches', async () => {
  const dir = await binaryFolder([3, 10]);
  const load = () => loadDataset('cifar10', { dir, limitTrain: 3 });
  await expect(load()).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: join(dir, 'data_batch_1.bin'),
    message: 'label 10 of image 1, expected 0 to 9',
  });
  await truncate(join(dir, 'data_batch_1.bin'), 0);
  await expect(load()).rejects.toMatchObject({ message: expect.stringMatching(/0 bytes, expected 30730000/) });
  await writeBinary(join(dir, 'data_batch_1.bin'), [1]);
  // Even where the limit makes reading it unnecessary.
  await truncate(join(dir, 'data_batch_4.bin'), BATCH_BYTES - 1);
  await expect(load()).rejects.toMatchObject({
    at: join(dir, 'data_batch_4.bin'),
    message: expect.stringMatching(/30729999 bytes, expected 30730000/),
  });
  await rm(join(dir, 'data_batch_4.bin'));
  await expect(load()).rejects.toMatchObject({ code: 'E_NOT_FOUND', at: join(dir, 'data_batch_4.bin') });
});

const shared = sharedData('cifar-10-batches-bin');
test.skipIf(shared.isMissing)(
  'the whole set: counts, pixels, statistics (skips where ../shared is missing)',
  async () => {
    const data = await loadDataset('cifar10', { dir: shared.path });
    const [train, held] = [data.train, data.test] as [MemorySplit, MemorySplit];
    expect([train.count, held.count]).toEqual([50_000, 10_000]);
    for (const split of [train, held]) {
      const histogram = new Array<number>(10).fill(0);
      for (const label of split.labels) histogram[label]!++;
      expect(histogram).toEqual(new Array(10).fill(split.count / 10));
    }
    const file = await readFile(join(shared.path, 'data_batch_3.bin'));
    const i = 1234;
    expect(train.labels[20_000 + i]).toBe(file[i * 3073]);
    for (let p = 0; p < 3072; p++) {
      const [c, yx] = [p % 3, Math.floor(p / 3)];
      expect(train.images[(20_000 + i) * 3072 + p]).toBe(file[i * 3073 + 1 + c * 1024 + yx]);
    }
    const measured = statisticsOf(train);
    for (let c = 0; c < 3; c++) {
      expect(Math.abs(data.mean[c]! - measured.mean[c]!)).toBeLessThan(1e-5);
      expect(Math.abs(data.std[c]! - measured.std[c]!)).toBeLessThan(1e-5);
    }
  },
);
