import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { framePicture } from '../../../src/core/pictures/frame-picture.ts';
import { frameCrop } from '../../../src/data/batches/framing.ts';

const crop = (width: number, height: number, least: number, sample: number, epoch = 0) =>
  frameCrop(width, height, { width: 224, height: 224 }, least, { seed: 3, epoch, sample }).cut!;

describe('random crops', () => {
  it('lie inside the picture and depend on seed, epoch and sample alone', () => {
    const side = fc.integer({ min: 1, max: 2000 });
    fc.assert(
      fc.property(
        side,
        side,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.nat(),
        (width, height, least, sample) => {
          const box = crop(width, height, least, sample);
          for (const value of Object.values(box)) expect(Number.isInteger(value)).toBe(true);
          expect(Math.min(box.left, box.top)).toBeGreaterThanOrEqual(0);
          expect(Math.min(box.width, box.height)).toBeGreaterThanOrEqual(1);
          expect(box.left + box.width).toBeLessThanOrEqual(width);
          expect(box.top + box.height).toBeLessThanOrEqual(height);
          expect(crop(width, height, least, sample)).toEqual(box);
        },
      ),
    );
    expect(crop(500, 400, 0.08, 7)).not.toEqual(crop(500, 400, 0.08, 7, 1));
  });

  // On a square, an area A with a ratio r fits when A·r ≤ 1 and A/r ≤ 1. For A ≤ 3/4 every ratio of 3/4 … 4/3 fits; given that
  // it fits, log r is uniform over what is left, and A up to 3/4 stays uniform.
  it('have uniform areas, log-uniform ratios, uniform places', () => {
    const side = 1000;
    const boxes = Array.from({ length: 20_000 }, (_, i) => crop(side, side, 0.08, i)).filter(
      ({ width, height }) => width * height < 0.75 * side * side,
    );
    const areas = boxes.map(({ width, height }) => (width * height) / side ** 2);
    const ratios = boxes.map(({ width, height }) => Math.log(width / height) / Math.log(4 / 3));
    const lefts = boxes.map(({ left, width }) => left / (side - width));
    const expectUniform = (values: readonly number[], low: number, high: number) => {
      for (let quarter = 1; quarter < 4; quarter++) {
        const below = values.filter((value) => value < low + ((high - low) * quarter) / 4).length / values.length;
        // About five standard deviations of a share of 15,000.
        expect(Math.abs(below - quarter / 4)).toBeLessThan(0.02);
      }
    };
    expectUniform(areas, 0.08, 0.75);
    expectUniform(ratios, -1, 1);
    expectUniform(lefts, 0, 1);
    expect(Math.min(...areas)).toBeGreaterThan(0.078);
    expect(Math.max(...ratios.map(Math.abs))).toBeLessThan(1.02);
  });

  // By the definition: the ratio nearest to the picture's, the largest part with it, in the middle.
  it.each([
    [1000, 10, { left: 493, top: 0, width: 13, height: 10 }],
    [10, 1000, { left: 0, top: 493, width: 10, height: 13 }],
  ])('a strip of %d x %d falls back to its middle', (width, height, expected) => {
    expect(crop(width, height, 0.9, 1)).toEqual(expected);
  });
});

// Worked out by hand after torchvision's Resize(256) and CenterCrop(224).
it.each([
  [500, 375, 341, 256, 58, 16],
  [375, 500, 256, 341, 16, 58],
  [256, 256, 256, 256, 16, 16],
  [300, 257, 298, 256, 37, 16],
])('the middle of %d x %d', (width, height, newWidth, newHeight, left, top) => {
  expect(framePicture(width, height, { width: 224, height: 224, fit: 'crop', shorterSide: 256 })).toEqual({
    width: newWidth,
    height: newHeight,
    cutAfter: { left, top, width: 224, height: 224 },
  });
});
