import fc from 'fast-check';
import { expect, test } from 'vitest';
import { drawPlacement, placeImage } from '../../../src/data/batches/augment.ts';
import { IMAGENET_STATISTICS, normalizationTable, resolveNormalization } from '../../../src/data/normalization.ts';

/** Pads with black, crops, mirrors, then normalises: the definition, pixel by pixel. */
function naive(
  picture: number[][][],
  pad: number,
  top: number,
  left: number,
  flip: boolean,
  mean: readonly number[],
  std: readonly number[],
): number[] {
  const [height, width, channels] = [picture.length, picture[0]!.length, picture[0]![0]!.length];
  const black = new Array<number>(channels).fill(0);
  const padded = Array.from({ length: height + 2 * pad }, (_, y) =>
    Array.from({ length: width + 2 * pad }, (_, x) => picture[y - pad]?.[x - pad] ?? black),
  );
  const cropped = padded.slice(top, top + height).map((row) => row.slice(left, left + width));
  const mirrored = flip ? cropped.map((row) => [...row].reverse()) : cropped;
  return mirrored.flatMap((row) =>
    row.flatMap((p) => p.map((value, c) => Math.fround((value / 255 - mean[c]!) / std[c]!))),
  );
}

test('crops and flips as pad, crop, mirror, normalise', () => {
  const cases = fc
    .record({
      height: fc.integer({ min: 1, max: 9 }),
      width: fc.integer({ min: 1, max: 9 }),
      channels: fc.constantFrom(1, 3, 4),
      pad: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 })),
      // Where the picture begins: at a word of the storage or beside it.
      from: fc.constantFrom(2, 4),
      flip: fc.boolean(),
      seed: fc.integer(),
    })
    .chain((size) =>
      fc.record({
        size: fc.constant(size),
        top: fc.integer({ min: 0, max: 2 * size.pad }),
        left: fc.integer({ min: 0, max: 2 * size.pad }),
        pixels: fc.uint8Array({
          minLength: size.height * size.width * size.channels,
          maxLength: size.height * size.width * size.channels,
        }),
      }),
    );
  fc.assert(
    fc.property(cases, ({ size, top, left, pixels }) => {
      const { height, width, channels, pad, flip, from } = size;
      const mean = [0.3, 0.5, 0.7, 0.1].slice(0, channels);
      const std = [0.2, 0.25, 0.3, 1].slice(0, channels);
      const picture = Array.from({ length: height }, (_, y) =>
        Array.from({ length: width }, (_, x) => [...pixels.subarray((y * width + x) * channels).subarray(0, channels)]),
      );
      // Guards on both sides, so that a write outside the picture shows.
      const storage = Uint8Array.from([...new Array<number>(from).fill(99), ...pixels, 99]);
      const out = new Float32Array(pixels.length + 4).fill(77);
      const placement = { dy: top - pad, dx: left - pad, flip };
      placeImage(storage, from, out, 2, size, normalizationTable({ mean, std }), placement);
      expect([...out]).toEqual([77, 77, ...naive(picture, pad, top, left, flip, mean, std), 77, 77]);
    }),
    { numRuns: 1000 },
  );
});

test('placements are uniform, and depend on seed, epoch and sample alone', () => {
  const offsets = new Float64Array(81);
  let flips = 0;
  const n = 16_200;
  for (let i = 0; i < n; i++) {
    const { dy, dx, flip } = drawPlacement({ padCrop: 4, flip: true }, 7, 3, i);
    offsets[(dy + 4) * 9 + dx + 4]!++;
    flips += Number(flip);
    expect(drawPlacement({ padCrop: 4, flip: false }, 7, 3, i)).toEqual({ dy, dx, flip: false });
  }
  // Chi-squared with 80 degrees of freedom: beyond 124.8 in 1 of 1000 cases.
  const chiSquared = offsets.reduce((sum, count) => sum + (count - n / 81) ** 2 / (n / 81), 0);
  expect(chiSquared).toBeLessThan(124.8);
  expect(Math.abs(flips / n - 0.5)).toBeLessThan(0.02);
  const some = (seed: number, epoch: number) =>
    Array.from({ length: 20 }, (_, i) => drawPlacement({ padCrop: 4, flip: true }, seed, epoch, i));
  expect(some(7, 3)).toEqual(some(7, 3));
  expect(some(7, 3)).not.toEqual(some(7, 4));
  expect(some(7, 3)).not.toEqual(some(8, 3));
});

test('alternating flips show both sides of each picture in any two epochs, and half of the pictures mirrored in each', () => {
  const some = (seed: number, epoch: number, flip = true) =>
    Array.from({ length: 4000 }, (_, i) => drawPlacement({ padCrop: 4, flip, alternateFlip: true }, seed, epoch, i));
  const flips = (...of: Parameters<typeof some>) => some(...of).map(({ flip }) => flip);
  expect(flips(7, 1)).toEqual(flips(7, 0).map((flip) => !flip));
  expect(flips(7, 2)).toEqual(flips(7, 0));
  expect(flips(8, 0)).not.toEqual(flips(7, 0));
  expect(Math.abs(flips(7, 0).filter(Boolean).length / 4000 - 0.5)).toBeLessThan(0.03);
  expect(flips(7, 0, false)).not.toContain(true);
  const byChance = Array.from({ length: 4000 }, (_, i) => drawPlacement({ padCrop: 4, flip: true }, 7, 3, i));
  expect(some(7, 3).map(({ dy, dx }) => [dy, dx])).toEqual(byChance.map(({ dy, dx }) => [dy, dx]));
});

const colour = { channels: 3, mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };
const grey = { channels: 1, mean: [0.1], std: [0.4] };

test('choices of statistics', () => {
  expect(resolveNormalization('dataset', colour)).toEqual({ mean: colour.mean, std: colour.std });
  expect(resolveNormalization('imagenet', colour)).toEqual(IMAGENET_STATISTICS);
  expect(resolveNormalization('none', grey)).toEqual({ mean: [0], std: [1] });
  expect(normalizationTable({ mean: [0], std: [1] })[255]).toBe(1);
});

test.each<[Parameters<typeof resolveNormalization>[0], RegExp]>([
  ['imagenet', /have 3 channels.*pictures have 1/],
  [{ mean: [0, 0], std: [1, 1] }, /2 means.*pictures have 1/],
  [{ mean: [0], std: [0] }, /std > 0/],
  [{ mean: [Number.NaN], std: [1] }, /std > 0/],
])('statistics refused: %j', (choice, message) => {
  expect(() => resolveNormalization(choice, grey)).toThrow(message);
});
