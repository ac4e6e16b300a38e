import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { Box } from '../../src/data/framing.ts';
import { decodeFile, decodeMiddle, noise, writePicture } from './pictures.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('no resize needed: the pixels of the middle', async () => {
  const path = join(await temporaryFolder(), 'x.png');
  await writePicture(path, 11, 8);
  const pixels = await decodeMiddle(path, 8, 6);
  const source = noise(11, 8);
  // 5 columns are cut off, 2.5 on the left: to the even number, 2.
  for (let y = 0; y < 6; y++) {
    for (let k = 0; k < 18; k++) expect(pixels[y * 18 + k]).toBe(source[((y + 1) * 11 + 2) * 3 + k]);
  }
});

/**
 * A triangle filter as wide as the stretching (at least one pixel), by its definition, over a box of the source whose border goes on
 * outside. Where a side is enlarged, both lie half a target pixel further on, as libvips has it: the other side becomes a mean of
 * neighbours.
 */
function resample(source: Uint8Array, sourceWidth: number, box: Box, width: number, height: number): number[] {
  const weigh = (count: number, length: number, target: number) => {
    const ratio = length / count;
    const reach = Math.max(1, ratio);
    const middle = (ratio < 1 ? target : target + 0.5) * ratio;
    const weights = new Array<number>(length).fill(0);
    for (let s = Math.floor(middle - reach) - 1; s <= middle + reach; s++) {
      weights[Math.min(length - 1, Math.max(0, s))]! += Math.max(0, 1 - Math.abs(s + 0.5 - middle) / reach);
    }
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / total);
  };
  const enlarges = width > box.width || height > box.height;
  const axis = (count: number, length: number, target: number): number[] => {
    const weights = weigh(count, length, target);
    if (!enlarges || length < count) return weights;
    const before = weigh(count, length, Math.max(0, target - 1));
    return weights.map((weight, s) => (weight + before[s]!) / 2);
  };
  const result: number[] = [];
  for (let y = 0; y < height; y++) {
    const rows = axis(height, box.height, y);
    for (let x = 0; x < width; x++) {
      const columns = axis(width, box.width, x);
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (const [sy, wy] of rows.entries()) {
          for (const [sx, wx] of columns.entries()) {
            if (wx * wy > 0) sum += wx * wy * source[((box.top + sy) * sourceWidth + box.left + sx) * 3 + c]!;
          }
        }
        result.push(sum);
      }
    }
  }
  return result;
}

function difference(pixels: Uint8Array, expected: readonly number[]): { worst: number; mean: number } {
  const errors = expected.map((value, i) => Math.abs(value - pixels[i]!));
  return { worst: Math.max(...errors), mean: errors.reduce((a, b) => a + b) / errors.length };
}

test('the middle, resized as a triangle filter does it, stretched by the ratio', async () => {
  const path = join(await temporaryFolder(), 'x.png');
  await writePicture(path, 48, 24);
  const pixels = await decodeMiddle(path, 8, 8);
  const whole = resample(noise(48, 24), 48, { left: 0, top: 0, width: 48, height: 24 }, 16, 8);
  const middle = whole.filter((_, i) => Math.floor(i / 3) % 16 >= 4 && Math.floor(i / 3) % 16 < 12);
  const { worst, mean } = difference(pixels, middle);
  // libvips rounds to bytes between the two directions, with coefficients in fixed point.
  expect(worst).toBeLessThanOrEqual(3);
  expect(mean).toBeLessThan(0.5);
});

test.each<[string, Box]>([
  ['smaller', { left: 3, top: 1, width: 37, height: 22 }],
  ['larger', { left: 30, top: 9, width: 7, height: 10 }],
  ['one way each', { left: 0, top: 20, width: 48, height: 4 }],
  ['as it is', { left: 5, top: 6, width: 16, height: 16 }],
])('a part that becomes %s: only its own pixels count', async (_, box) => {
  const path = join(await temporaryFolder(), 'x.png');
  await writePicture(path, 48, 24);
  const pixels = await decodeFile(path, () => ({ cut: box, width: 16, height: 16 }));
  const { worst, mean } = difference(pixels, resample(noise(48, 24), 48, box, 16, 16));
  expect(worst).toBeLessThanOrEqual(3);
  expect(mean).toBeLessThan(0.6);
});

test.each<[string, 1 | 2 | 3 | 4]>([
  ['grey', 1],
  ['grey with transparency', 2],
  ['colour with transparency', 4],
])('%s becomes RGB', async (_, channels) => {
  const path = join(await temporaryFolder(), 'x.png');
  const source = noise(8, 8, channels);
  const raw = sharp(source, { raw: { width: 8, height: 8, channels } });
  await (channels < 3 ? raw.toColourspace('b-w') : raw).png().toFile(path);
  const pixels = await decodeMiddle(path, 8, 8);
  for (let p = 0; p < 64; p++) {
    for (let c = 0; c < 3; c++) expect(pixels[p * 3 + c]).toBe(source[p * channels + (channels < 3 ? 0 : c)]);
  }
});

test('16 bits, CMYK and an animation become RGB of 8 bits', async () => {
  const dir = await temporaryFolder();
  const picture = () => sharp(noise(16, 16), { raw: { width: 16, height: 16, channels: 3 } });
  await picture().toColourspace('rgb16').png().toFile(join(dir, 'deep.png'));
  await picture().toColourspace('cmyk').jpeg().toFile(join(dir, 'cmyk.jpg'));
  await picture().gif().toFile(join(dir, 'x.gif'));
  for (const file of ['deep.png', 'cmyk.jpg', 'x.gif']) {
    expect(await decodeMiddle(join(dir, file), 16, 16)).toHaveLength(16 * 16 * 3);
  }
  expect(Buffer.compare(await decodeMiddle(join(dir, 'deep.png'), 16, 16), noise(16, 16))).toBe(0);
});
