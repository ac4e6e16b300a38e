/** Parts of batches: put together, they are the whole. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partOf } from '../../src/core/numbers/part.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { createBatchMaker } from '../../src/data/batches/batch-maker.ts';
import type { MemorySplit } from '../../src/data/dataset.ts';
import { mixBatch, mixRng } from '../../src/training/learning/mix-batch.ts';

describe('partOf', () => {
  it('divides everything, in sizes that differ by one at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 1, max: 300 }), (count, of) => {
        const parts = Array.from({ length: of }, (_, index) => partOf(count, { index, of }));
        expect(parts[0]?.[0]).toBe(0);
        expect(parts.at(-1)?.[1]).toBe(count);
        for (const [i, [begin]] of parts.entries()) if (i > 0) expect(begin).toBe(parts[i - 1]?.[1]);
        const sizes = parts.map(([begin, end]) => end - begin);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

function split(count: number): MemorySplit {
  const rng = new Rng(3);
  const images = new Uint8Array(new SharedArrayBuffer(count * 64)).map(() => rng.below(256));
  const labels = new Int32Array(new SharedArrayBuffer(4 * count)).map(() => rng.below(10));
  return { kind: 'memory', count, height: 8, width: 8, channels: 1, mean: [0.5], std: [0.3], images, labels };
}

it.each([1, 2, 3, 5])('the parts of %i processes are the batch, with the same order and augmentation', async (of) => {
  const options = { batchSize: 16, seed: 7, shuffle: true, augment: { padCrop: 2, flip: true, cropScale: 0 } };
  const whole = await createBatchMaker(split(70), options).make(3, 2);
  const parts = await Promise.all(
    Array.from({ length: of }, (_, index) =>
      createBatchMaker(split(70), { ...options, part: { index, of } }).make(3, 2),
    ),
  );
  expect(parts.flatMap(({ indices }) => [...indices])).toEqual([...whole.indices]);
  expect(parts.flatMap(({ labels }) => [...labels])).toEqual([...whole.labels]);
  expect(parts.flatMap(({ images }) => [...images])).toEqual([...whole.images]);
  let from = 0;
  for (const { whole: place, count } of parts) {
    expect(place).toEqual({ from, count: 16 });
    from += count;
  }
});

it('cutout cuts each picture of a part as in the whole batch', () => {
  const size = { height: 8, width: 8, channels: 1 };
  const ones = (count: number) => new Float32Array(count * 64).fill(1);
  const options = { cutout: 3, mixup: 0 };
  const whole = mixBatch(ones(10), new Int32Array(10), size, options, mixRng(1, 2, 3)).images;
  const part = mixBatch(ones(4), new Int32Array(4), size, options, mixRng(1, 2, 3), { from: 3, count: 10 }).images;
  expect([...part]).toEqual([...whole.subarray(3 * 64, 7 * 64)]);
  expect([...part]).not.toEqual([...whole.subarray(0, 4 * 64)]);
});
