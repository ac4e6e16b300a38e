import { expect, it } from 'vitest';
import { pictureFrame } from '../../../src/core/pictures/preprocessing.ts';
import type { FileSplit, MemorySplit } from '../../../src/data/dataset.ts';
import { packTexts, pictureName } from '../../../src/data/pictures/picture-source.ts';
import { createSharedBytes, createSharedInts } from '../../../src/data/shared-memory.ts';
import { createFileSplit } from '../../../src/data/splits/file-split.ts';
import { holdOut } from '../../../src/data/splits/hold-out.ts';

function split(count: number): MemorySplit {
  const images = createSharedBytes(count * 4);
  const labels = createSharedInts(count);
  for (let i = 0; i < count; i++) {
    images.fill(i, i * 4, (i + 1) * 4);
    labels[i] = i * 10;
  }
  return { kind: 'memory', count, height: 2, width: 2, channels: 1, mean: [0], std: [1], images, labels };
}

it('divides the images without loss, keeps pictures with their labels, and depends only on the seed', () => {
  const { train, held } = holdOut(split(20), 5, 3);
  const parts = [train, held] as MemorySplit[];
  expect(parts.map((part) => part.count)).toEqual([15, 5]);
  const seen = parts.flatMap((part) => {
    const ids = Array.from(part.labels, (label) => label / 10);
    expect([...part.images]).toEqual(ids.flatMap((id) => [id, id, id, id]));
    return ids;
  });
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(holdOut(split(20), 5, 3)).toEqual({ train, held });
  expect(holdOut(split(20), 5, 4).held.labels).not.toEqual(held.labels);
});

it('leaves something to train on', () => {
  expect(() => holdOut(split(5), 5, 1)).toThrow('cannot hold out 5 of 5 training images');
});

it('keeps files, and ranges of shards, with their labels', () => {
  const numbers = Array.from({ length: 9 }, (_, i) => i);
  const sources = [
    { kind: 'files', paths: packTexts(numbers.map((i) => `/ä/${i}`)) },
    {
      kind: 'ranges',
      shards: ['/s0', '/s1'],
      shardOf: Int32Array.from(numbers, (i) => i % 2),
      offsets: Float64Array.from(numbers, (i) => i * 2 ** 33),
      sizes: Float64Array.from(numbers, (i) => i + 100),
      names: packTexts(numbers.map((i) => `${i}.jpg`)),
    },
  ] as const;
  const frame = pictureFrame(8, 8, 'crop');
  for (const source of sources) {
    const { train, held } = holdOut(createFileSplit(source, numbers, frame), 4, 1) as {
      train: FileSplit;
      held: FileSplit;
    };
    const seen = [train, held].flatMap(({ pictures, labels }) =>
      Array.from(labels, (label, i) => {
        expect(pictureName(pictures, i)).toBe(pictureName(source, label));
        if (pictures.kind === 'ranges') {
          expect([pictures.offsets[i], pictures.sizes[i]]).toEqual([label * 2 ** 33, label + 100]);
        }
        return label;
      }),
    );
    expect(seen.sort()).toEqual(numbers);
  }
});
