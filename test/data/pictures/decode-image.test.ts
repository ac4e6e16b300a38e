import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { type Box, framePicture } from '../../../src/core/pictures/frame-picture.ts';
import type { PictureFrame } from '../../../src/core/pictures/preprocessing.ts';
import { decodeImage } from '../../../src/data/pictures/decode-image.ts';
import { resizeByDefinition } from '../../core/pictures/resize-by-definition.ts';
import { decodeFile, decodeMiddle, noise, writePicture } from '../pictures.ts';
import { temporaryFolder } from '../temporary-folder.ts';

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

const brightness = (pixels: Uint8Array): number => pixels.reduce((a, b) => a + b, 0) / pixels.length;

async function parts(box: Box, width: number, height: number): Promise<{ pixels: Uint8Array; expected: Float64Array }> {
  const path = join(await temporaryFolder(), 'x.png');
  await writePicture(path, 48, 24);
  const pixels = await decodeFile(path, () => ({ cut: box, width, height }));
  return { pixels, expected: resizeByDefinition(noise(48, 24), { width: 48, stride: 3 }, box, { width, height }) };
}

test.each<[string, Box]>([
  ['larger', { left: 30, top: 9, width: 7, height: 10 }],
  ['larger one way, smaller the other', { left: 0, top: 20, width: 48, height: 4 }],
  ['as it is', { left: 5, top: 6, width: 16, height: 16 }],
])('a part that becomes %s: only its own pixels count', async (_, box) => {
  const { pixels, expected } = await parts(box, 16, 16);
  // Rounded twice.
  for (const [i, value] of expected.entries()) expect(Math.abs(pixels[i]! - value)).toBeLessThanOrEqual(1.01);
});

test('a part that becomes smaller is resized by libvips: the same but at the border, where that repeats the last pixel', async () => {
  const { pixels, expected } = await parts({ left: 3, top: 1, width: 37, height: 22 }, 16, 16);
  for (let y = 1; y < 15; y++) {
    for (let k = 3; k < 45; k++) expect(Math.abs(pixels[y * 48 + k]! - expected[y * 48 + k]!)).toBeLessThanOrEqual(1.5);
  }
  expect(Math.abs(brightness(pixels) - expected.reduce((a, b) => a + b, 0) / expected.length)).toBeLessThan(1);
});

test.each<[string, PictureFrame, Box]>([
  ['squashed', { width: 12, height: 12, fit: 'squash', shorterSide: null }, { left: 0, top: 0, width: 12, height: 12 }],
  ['padded', { width: 12, height: 12, fit: 'pad', shorterSide: null }, { left: 0, top: 3, width: 12, height: 6 }],
  [
    'padded and enlarged',
    { width: 60, height: 50, fit: 'pad', shorterSide: null },
    { left: 0, top: 10, width: 60, height: 30 },
  ],
])('%s to the size of a network, on black', async (_, frame, place) => {
  const path = join(await temporaryFolder(), 'x.png');
  await writePicture(path, 48, 24);
  const pixels = await decodeFile(path, (width, height) => framePicture(width, height, frame));
  const whole = { left: 0, top: 0, width: 48, height: 24 };
  const resized = resizeByDefinition(noise(48, 24), { width: 48, stride: 3 }, whole, place);
  expect(pixels).toHaveLength(frame.width * frame.height * 3);
  for (let y = 0; y < frame.height; y++) {
    for (let x = 0; x < frame.width; x++) {
      const [px, py] = [x - place.left, y - place.top];
      const isInside = px >= 0 && py >= 0 && px < place.width && py < place.height;
      for (let c = 0; c < 3; c++) {
        const expected = isInside ? resized[(py * place.width + px) * 3 + c]! : 0;
        expect(Math.abs(pixels[(y * frame.width + x) * 3 + c]! - expected)).toBeLessThanOrEqual(isInside ? 1.01 : 0);
      }
    }
  }
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

/** Where a pixel of the upright picture is stored, in words of Exif 3.0, 4.6.5.4.1: what the 0th row and the 0th column are. */
const STORED: readonly ((x: number, y: number, w: number, h: number) => [x: number, y: number])[] = [
  (x, y) => [x, y],
  (x, y, w) => [w - 1 - x, y],
  (x, y, w, h) => [w - 1 - x, h - 1 - y],
  (x, y, _, h) => [x, h - 1 - y],
  (x, y) => [y, x],
  (x, y, w) => [y, w - 1 - x],
  (x, y, w, h) => [h - 1 - y, w - 1 - x],
  (x, y, _, h) => [h - 1 - y, x],
];

/** Pixels of an 11 × 8 picture stored as `format`, and the upright picture that orientation 1 to 8 means. */
async function turnedPicture(orientation: number, format: 'jpeg' | 'png' | 'webp' | 'tiff') {
  const raw = { width: 11, height: 8, channels: 3 } as const;
  const bytes = await sharp(noise(11, 8), { raw }).withMetadata({ orientation }).toFormat(format).toBuffer();
  const stored = await sharp(bytes).raw().toBuffer();
  const [width, height] = orientation < 5 ? [11, 8] : [8, 11];
  const upright = Buffer.alloc(stored.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [sx, sy] = STORED[orientation - 1]!(x, y, width, height);
      stored.copy(upright, 3 * (y * width + x), 3 * (sy * 11 + sx), 3 * (sy * 11 + sx) + 3);
    }
  }
  return { bytes, width, height, upright };
}

describe.each(['jpeg', 'png', 'webp', 'tiff'] as const)('%s of a camera held otherwise is turned upright', (format) => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('orientation %d', async (orientation) => {
    const { bytes, width, height, upright } = await turnedPicture(orientation, format);
    const sizes: [number, number][] = [];
    const whole = await decodeImage(bytes, 'x', (w, h) => {
      sizes.push([w, h]);
      return { width: w, height: h };
    });
    expect(sizes).toEqual([[width, height]]);
    expect(Buffer.compare(whole, upright)).toBe(0);
    // Cut out of the upright picture, larger and smaller.
    const cut = { left: 1, top: 2, width: 6, height: 5 };
    const part = await decodeImage(bytes, 'x', () => ({ cut, width: 6, height: 5 }));
    for (let y = 0; y < 5; y++) {
      const from = 3 * ((y + 2) * width + 1);
      expect([...part.subarray(18 * y, 18 * y + 18)]).toEqual([...upright.subarray(from, from + 18)]);
    }
    const smaller = await decodeImage(bytes, 'x', () => ({ cut, width: 3, height: 3 }));
    const straight = await sharp(upright, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    expect(smaller).toEqual(await decodeImage(straight, 'x', () => ({ cut, width: 3, height: 3 })));
  });
});

test('a photograph in HEIC says what to do', async () => {
  const bytes = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from('ftypheic\0\0\0\0mif1heic'), Buffer.alloc(200)]);
  const frame = () => ({ width: 1, height: 1 });
  await expect(decodeImage(bytes, 'x', frame)).rejects.toThrow(/HEIC, to be made JPEG first, expected JPEG, PNG/);
});
