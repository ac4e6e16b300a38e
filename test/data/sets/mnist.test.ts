import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { MemorySplit } from '../../../src/data/dataset.ts';
import { decodeIdx } from '../../../src/data/formats/idx.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { readMnist } from '../mnist-files.ts';
import { statisticsOf } from '../statistics.ts';
import { temporaryFolder } from '../temporary-folder.ts';

/** An IDX file, spelt out. */
function idx(shape: number[], elements: ArrayLike<number>, type = 8): Uint8Array {
  const header = [
    0,
    0,
    type,
    shape.length,
    ...shape.flatMap((n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]),
  ];
  return Uint8Array.from([...header, ...Array.from(elements)]);
}

const pixels = (count: number): number[] => Array.from({ length: count * 784 }, (_, i) => (i * 7) % 256);

async function writeSet(folder: string, changes: Record<string, Uint8Array> = {}): Promise<void> {
  const files = {
    'train-images-idx3-ubyte': idx([3, 28, 28], pixels(3)),
    'train-labels-idx1-ubyte': idx([3], [7, 0, 9]),
    't10k-images-idx3-ubyte.gz': gzipSync(idx([2, 28, 28], pixels(2))),
    't10k-labels-idx1-ubyte.gz': gzipSync(idx([2], [1, 2])),
    ...changes,
  };
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
}

test('the embedded copy is MNIST', async () => {
  const { train, test: held, mean, std, classes } = await loadDataset('mnist');
  const { images, labels } = train as MemorySplit;
  expect([train.count, held.count, images.length, classes.length]).toEqual([60_000, 10_000, 60_000 * 784, 10]);
  expect(images.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(labels.buffer).toBeInstanceOf(SharedArrayBuffer);
  // Images of each digit in the training set, as published.
  const histogram = new Array<number>(10).fill(0);
  for (const label of labels) histogram[label]!++;
  expect(histogram).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  const measured = statisticsOf(train as MemorySplit);
  expect(mean[0]).toBeCloseTo(measured.mean[0]!, 4);
  expect(std[0]).toBeCloseTo(measured.std[0]!, 4);
});

test.each([
  ['train-images-idx3-ubyte', 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db'],
  ['train-labels-idx1-ubyte', '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5'],
  ['t10k-images-idx3-ubyte', '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7'],
  ['t10k-labels-idx1-ubyte', 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2'],
])('%s of our package has the bytes of the original', async (name, digest) => {
  const bytes = await readMnist(name);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(digest);
  const readme = await readFile(new URL('../../../packages/mnist/README.md', import.meta.url), 'utf8');
  expect(readme).toContain(`| \`${name}\` | ${bytes.length.toLocaleString('en')} | \`${digest}\` |`);
});

test('a folder of IDX files, plain and gzipped', async () => {
  const dir = await temporaryFolder();
  await writeSet(dir);
  const data = await loadDataset('mnist', { dir });
  const [train, held] = [data.train, data.test] as MemorySplit[];
  expect([...train!.labels]).toEqual([7, 0, 9]);
  expect([...train!.images]).toEqual(pixels(3));
  expect([...held!.labels]).toEqual([1, 2]);
  expect(data.root).toBe(dir);
  const reference = createHash('sha256');
  for (const [n, labels] of [
    [3, [7, 0, 9]],
    [2, [1, 2]],
  ] as [number, number[]][]) {
    reference.update(Uint8Array.from(pixels(n))).update(new Uint8Array(Int32Array.from(labels).buffer));
  }
  expect(data.fingerprint).toBe(reference.digest('hex'));
  const limited = await loadDataset('mnist', { dir, limitTrain: 2, limitTest: 0 });
  expect([limited.train.count, limited.test.count]).toEqual([2, 0]);
  expect([...limited.train.labels]).toEqual([7, 0]);
  expect(limited.fingerprint).not.toBe(data.fingerprint);
});

test.each<[string, Record<string, Uint8Array>, string, RegExp]>([
  [
    'truncated images',
    { 'train-images-idx3-ubyte': idx([3, 28, 28], pixels(2)) },
    'E_FORMAT',
    /1584 bytes.* 3x28x28 elements need 2368/,
  ],
  [
    'wrong image size',
    { 'train-images-idx3-ubyte': idx([1, 2, 2], [1, 2, 3, 4]) },
    'E_SHAPE',
    /2x2 pixels, expected 28x28/,
  ],
  ['labels for images', { 'train-images-idx3-ubyte': idx([3], [1, 2, 3]) }, 'E_FORMAT', /1 dimensions, expected 3/],
  ['another number of labels', { 'train-labels-idx1-ubyte': idx([2], [1, 2]) }, 'E_SHAPE', /2 labels for 3 images/],
  ['label out of range', { 'train-labels-idx1-ubyte': idx([3], [1, 10, 2]) }, 'E_FORMAT', /label 10 of image 1/],
  ['floats', { 'train-labels-idx1-ubyte': idx([3], [1, 2, 3], 13) }, 'E_UNSUPPORTED', /type 13/],
  ['not IDX', { 'train-labels-idx1-ubyte': Uint8Array.of(9, 9, 9, 9) }, 'E_FORMAT', /not an IDX file/],
  ['an empty file', { 'train-labels-idx1-ubyte': new Uint8Array(0) }, 'E_FORMAT', /not an IDX file/],
  ['damaged gzip', { 't10k-labels-idx1-ubyte.gz': Uint8Array.of(0x1f, 0x8b, 8, 0) }, 'E_FORMAT', /cannot decompress/],
])('%s', async (_, files, code, message) => {
  const dir = await temporaryFolder();
  await writeSet(dir, files);
  const name = Object.keys(files)[0]!;
  const error = await loadDataset('mnist', { dir }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: 'BnnError', code, message: expect.stringMatching(message), at: join(dir, name) });
});

test('a folder without the files', async () => {
  const dir = await temporaryFolder();
  await expect(loadDataset('mnist', { dir })).rejects.toMatchObject({ code: 'E_NOT_FOUND', at: dir });
});

test.each([
  [{ limitTrain: -1 }, /limitTrain is -1/],
  [{ limitTest: 1.5 }, /limitTest is 1.5/],
  [{ imageSize: 32 }, /28x28/],
])('options %j', async (options, message) => {
  await expect(loadDataset('mnist', options)).rejects.toMatchObject({
    code: 'E_USAGE',
    message: expect.stringMatching(message),
  });
});

test('an unknown name', async () => {
  await expect(loadDataset('cifar')).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    message: expect.stringContaining('mnist, cifar10, cifar100, imagenet, webdataset, image-folder'),
    hint: 'did you mean cifar10?',
  });
});

test('an IDX header that promises more than memory', () => {
  const bytes = idx([0xffffffff, 0xffffffff, 0xffffffff], []);
  expect(() => decodeIdx(bytes, 3, 'x')).toThrow(/16 bytes/);
});

test('what is gzipped is inflated as far as its header says', () => {
  const before = process.memoryUsage.rss();
  const head = idx([2, 28, 28], []);
  // 600 MB of zeros behind a header of 1,568 bytes.
  const member = gzipSync(Buffer.alloc(60_000_000));
  const bomb = Buffer.concat([gzipSync(head), ...Array.from({ length: 10 }, () => member)]);
  expect(() => decodeIdx(bomb, 3, 'x')).toThrow('cannot decompress: more bytes than the header says');
  expect(process.memoryUsage.rss() - before).toBeLessThan(300e6);
  const whole = idx([2, 28, 28], pixels(2));
  expect([...decodeIdx(gzipSync(whole), 3, 'x').data]).toEqual(pixels(2));
  expect(() => decodeIdx(gzipSync(whole.subarray(0, 1000)), 3, 'x')).toThrow(/IDX file of 1000 bytes, but 2x28x28/);
});

test('a gzipped header that promises more than its file or memory can hold', () => {
  const promises = (n: number) => Buffer.from(idx([n, 28, 28], []));
  expect(() => decodeIdx(gzipSync(promises(2 ** 31)), 3, 'x')).toThrow(
    /gzipped IDX file of \d+ bytes, but 2147483648x28x28/,
  );
  const long = gzipSync(Buffer.concat([promises(800_000), Buffer.alloc(640_000_000)]), { level: 1 });
  expect(() => decodeIdx(long, 3, 'x')).toThrow(/at most 600000000 are read/);
});

test('a gzipped file longer than what its beginning tells, with a name in its header', () => {
  const random = Array.from({ length: 300 * 784 }, (_, i) => Math.imul(i ^ (i >>> 7), 2654435761) >>> 24);
  const packed = gzipSync(idx([300, 28, 28], random));
  expect(packed.length).toBeGreaterThan(1 << 16);
  const named = Buffer.concat([
    packed.subarray(0, 3),
    Buffer.of(8),
    packed.subarray(4, 10),
    Buffer.from('name\0'),
    packed.subarray(10),
  ]);
  for (const file of [packed, named])
    expect(Buffer.compare(decodeIdx(file, 3, 'x').data, Uint8Array.from(random))).toBe(0);
});
