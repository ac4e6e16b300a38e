import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { pictureFrame } from '../../../src/core/pictures/preprocessing.ts';
import type { Batch } from '../../../src/data/batches/batch-maker.ts';
import { Batcher, type BatcherOptions, type BatchStream, createBatches } from '../../../src/data/batches/batches.ts';
import type { FileSplit, MemorySplit } from '../../../src/data/dataset.ts';
import { packTexts } from '../../../src/data/pictures/picture-source.ts';

/** Pictures of 6x5 pixels; the label of image i is i % 10. */
function makeSplit(count: number): MemorySplit {
  const size = { height: 6, width: 5, channels: 3 };
  const images = new Uint8Array(new SharedArrayBuffer(count * 90));
  const labels = new Int32Array(new SharedArrayBuffer(count * 4));
  for (let i = 0; i < images.length; i++) images[i] = (i * 2654435761) >>> 24;
  for (let i = 0; i < count; i++) labels[i] = i % 10;
  return { kind: 'memory', count, ...size, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4], images, labels };
}

const OPTIONS: BatcherOptions = { batchSize: 16, seed: 5, shuffle: true, augment: { padCrop: 2, flip: true } };

function open(split: MemorySplit | FileSplit, options: BatcherOptions): Batcher {
  const batcher = new Batcher(split, options);
  onTestFinished(() => batcher.close());
  return batcher;
}

async function collect(stream: BatchStream): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of stream) batches.push(batch);
  return batches;
}

test('an epoch holds every image once, with its own label and pixels', async () => {
  const split = makeSplit(100);
  const batches = await collect(createBatches(split, { batchSize: 16, seed: 1, shuffle: true, normalize: 'none' }));
  expect(batches.map(({ count, index }) => [count, index])).toEqual([
    ...[0, 1, 2, 3, 4, 5].map((index) => [16, index]),
    [4, 6],
  ]);
  const order = batches.flatMap(({ indices }) => [...indices]);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(order).not.toEqual([...order].sort((a, b) => a - b));
  for (const { images, labels, indices, count } of batches) {
    expect([images.length, labels.length, indices.length]).toEqual([count * 90, count, count]);
    for (let k = 0; k < count; k++) {
      const i = indices[k]!;
      expect(labels[k]).toBe(i % 10);
      const expected = Array.from(split.images.subarray(i * 90, (i + 1) * 90), (v) => Math.fround(v / 255));
      expect([...images.subarray(k * 90, (k + 1) * 90)]).toEqual(expected);
    }
  }
});

test('without shuffling, in order; dropLast leaves out what is not full', async () => {
  const batches = await collect(createBatches(makeSplit(20), { batchSize: 8, dropLast: true }));
  expect(batches.map(({ indices }) => [...indices])).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7],
    [8, 9, 10, 11, 12, 13, 14, 15],
  ]);
});

test.each([1, 3, 50])('%d ahead in a worker: the same bits, epoch after epoch', async (prefetch) => {
  const split = makeSplit(200);
  const here = open(split, OPTIONS);
  const ahead = open(split, { ...OPTIONS, prefetch });
  for (const epoch of [0, 1, 7]) {
    expect(await collect(ahead.epoch(epoch))).toEqual(await collect(here.epoch(epoch)));
  }
  expect((await collect(here.epoch(0)))[0]).not.toEqual((await collect(here.epoch(1)))[0]);
});

test.each([0, 2])('as bytes: each becomes what it is in the batch of floats (%d ahead)', async (prefetch) => {
  // 11 · 90 bytes are no whole number of words.
  const options = { ...OPTIONS, batchSize: 11 };
  const floats = open(makeSplit(50), options);
  const batcher = open(makeSplit(50), { ...options, prefetch, asBytes: true });
  for (const epoch of [0, 1]) {
    const want = await collect(floats.epoch(epoch));
    let seen = 0;
    for await (const batch of batcher.epoch(epoch)) {
      const { words, table } = batch.bytes!;
      const { images, ...rest } = want[batch.index]!;
      const bytes = new Uint8Array(words.buffer).subarray(0, images.length);
      expect(words.byteLength).toBe(Math.ceil(images.length / 4) * 4);
      expect(Float32Array.from(bytes, (byte, i) => table[(i % 3) * 256 + byte] ?? Number.NaN)).toEqual(images);
      expect(batch).toEqual({ ...rest, images: new Float32Array(0), bytes: batch.bytes });
      batcher.recycle(batch);
      seen++;
    }
    expect(seen).toBe(want.length);
  }
});

test.each([0, 3])('startBatch continues exactly (%d ahead)', async (prefetch) => {
  const batcher = open(makeSplit(100), { ...OPTIONS, prefetch });
  const whole = await collect(batcher.epoch(2));
  expect(await collect(batcher.epoch(2, 4))).toEqual(whole.slice(4));
  expect(await collect(batcher.epoch(2, 7))).toEqual([]);
  expect(() => batcher.epoch(2, 8)).toThrow(/batch 8 of an epoch of 7/);
});

test('leaving early, and the next epoch is right', async () => {
  const batcher = open(makeSplit(100), { ...OPTIONS, prefetch: 4 });
  for await (const { index } of batcher.epoch(0)) if (index === 1) break;
  const next = await collect(batcher.epoch(1));
  expect(next).toEqual(await collect(open(makeSplit(100), OPTIONS).epoch(1)));
});

test('two streams of one batcher at a time', async () => {
  const batcher = open(makeSplit(100), { ...OPTIONS, prefetch: 2 });
  const [first, second] = [batcher.epoch(0), batcher.epoch(1)];
  const firstBatch = await first.next();
  await first.close();
  expect(firstBatch.done).toBe(false);
  expect((await first.next()).done).toBe(true);
  expect(await collect(second)).toHaveLength(7);
});

test.each([0, 2])('an error while a batch is made arrives whole (%d ahead)', async (prefetch) => {
  const { images: _, ...facts } = makeSplit(3);
  const files = ['/nowhere/a.png', '/nowhere/b.png', '/nowhere/c.png'];
  const pictures = { kind: 'files', paths: packTexts(files) } as const;
  const split: FileSplit = { ...facts, kind: 'files', height: 5, pictures, frame: pictureFrame(5, 5, 'crop') };
  const batcher = open(split, { batchSize: 1, prefetch });
  await expect(collect(batcher.epoch(0))).rejects.toMatchObject({
    name: 'BnnError',
    code: 'E_NOT_FOUND',
    at: '/nowhere/a.png',
    hint: 'check the path',
  });
  await expect(batcher.epoch(0, 1).next()).rejects.toMatchObject({ at: '/nowhere/b.png' });
});

test('a consumer that takes its time never waits', async () => {
  const batcher = open(makeSplit(2000), { ...OPTIONS, prefetch: 4 });
  await collect(batcher.epoch(0));
  const stream = batcher.epoch(1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  for await (const _ of stream) await new Promise((resolve) => setTimeout(resolve, 3));
  // 125 batches: a wait here is only the scheduling of other processes.
  expect(stream.waitMs).toBeLessThan(125);
});

test('made here, waiting is the time that making takes', async () => {
  const stream = open(makeSplit(2000), OPTIONS).epoch(0);
  await collect(stream);
  expect(stream.waitMs).toBeGreaterThan(0);
});

test('at most the given number of batches lies ready', async () => {
  const split = makeSplit(160);
  const stream = open(split, { ...OPTIONS, prefetch: 3, normalize: 'none', augment: null }).epoch(0);
  const first = await stream.next();
  await new Promise((resolve) => setTimeout(resolve, 300));
  // Batches 1 to 3 are made by now; what is made later sees this change.
  split.images.fill(255);
  const rest = await collect(stream);
  expect(first.done).toBe(false);
  const isWhite = rest.map(({ images }) => images.every((value) => value === 1));
  expect(isWhite).toEqual([false, false, false, true, true, true, true, true, true]);
});

test('a worker that nobody closes lets the process end', async () => {
  const script = `
    import { Batcher } from ${JSON.stringify(new URL('../../../src/data/batches/batches.ts', import.meta.url).href)};
    const shared = (bytes) => new SharedArrayBuffer(bytes);
    const split = { kind: 'memory', count: 64, height: 2, width: 2, channels: 1, mean: [0], std: [1],
      images: new Uint8Array(shared(256)), labels: new Int32Array(shared(256)) };
    const stream = new Batcher(split, { batchSize: 8, prefetch: 2 }).epoch(0);
    const { value } = await stream.next();
    console.log(value.count);`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', script],
    { cwd: fileURLToPath(new URL('../../..', import.meta.url)), timeout: 20_000 },
  );
  expect(stdout).toBe('8\n');
});

test('a batcher that is never asked and never closed does not keep the process alive', async () => {
  const script = `
    import { Batcher } from './src/data/batches/batches.ts';
    const bytes = (n) => new SharedArrayBuffer(n);
    const images = new Uint8Array(bytes(8)), labels = new Int32Array(bytes(32));
    const size = { height: 1, width: 1, channels: 1, mean: [0], std: [1] };
    new Batcher({ kind: 'memory', count: 8, ...size, images, labels }, { batchSize: 2, prefetch: 2 });
    console.log('made');
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', script],
    { cwd: fileURLToPath(new URL('../../..', import.meta.url)), timeout: 60_000 },
  );
  expect(stdout).toBe('made\n');
}, 60_000);

test.each<[Partial<BatcherOptions>, RegExp]>([
  [{ batchSize: 0 }, /batchSize is 0/],
  [{ batchSize: 2.5 }, /batchSize is 2.5/],
  [{ prefetch: -1 }, /prefetch is -1/],
  [{ augment: { padCrop: -1, flip: false } }, /padCrop is -1/],
  [{ batchSize: 21, dropLast: true }, /20 images do not fill a batch of 21/],
])('options refused: %j', (options, message) => {
  expect(() => new Batcher(makeSplit(20), { ...OPTIONS, ...options })).toThrow(message);
});

test('closing ends what waits, and can be done twice', async () => {
  const batcher = open(makeSplit(100), { ...OPTIONS, prefetch: 1 });
  const waiting = batcher.epoch(0).next();
  await Promise.all([batcher.close(), expect(waiting).rejects.toThrow(/closed/)]);
  await batcher.close();
  await expect(batcher.epoch(1).next()).rejects.toThrow(/closed/);
});

test('an empty split', () => {
  expect(() => new Batcher(makeSplit(0), OPTIONS)).toThrow(/no images/);
});
