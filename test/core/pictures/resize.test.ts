import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { framePicture } from '../../../src/core/pictures/frame-picture.ts';
import { pictureFrame } from '../../../src/core/pictures/preprocessing.ts';
import { resize } from '../../../src/core/pictures/resize.ts';
import { resizeByDefinition } from './resize-by-definition.ts';

function noise(width: number, height: number, stride: number): Uint8Array {
  return Uint8Array.from({ length: width * height * stride }, (_, i) => Math.imul(i + 7, 0x9e3779b1) >>> 24);
}

const whole = (width: number, height: number) => ({ left: 0, top: 0, width, height });

const side = fc.integer({ min: 1, max: 24 });

it('is the triangle filter of its definition, rounded once in each direction', () => {
  fc.assert(
    fc.property(side, side, side, side, fc.constantFrom(3, 4), (width, height, w, h, stride) => {
      const pixels = noise(width, height, stride);
      const to = { width: w, height: h };
      const result = resize(pixels, { width, height, stride }, whole(width, height), to);
      const expected = resizeByDefinition(pixels, { width, stride }, whole(width, height), to);
      for (const [i, value] of expected.entries()) expect(Math.abs(result[i]! - value)).toBeLessThanOrEqual(1.01);
    }),
    { numRuns: 60 },
  );
});

it.each([
  [1, 4],
  [5, 7],
  [90, 9],
])('keeps a slope where it is: %d to %d pixels', (from, to) => {
  // Red is the position of a pixel's centre: so it is in the result, but at the ends, where there are no pixels outside.
  const pixels = Uint8Array.from({ length: from * 3 }, (_, i) => (i % 3 === 0 ? 2 * Math.floor(i / 3) : 0));
  const row = resize(pixels, { width: from, height: 1, stride: 3 }, whole(from, 1), { width: to, height: 1 });
  const reach = Math.max(1, from / to);
  for (let t = 0; t < to; t++) {
    const center = (t + 0.5) * (from / to);
    if (center < reach || center > from - reach) continue;
    expect(Math.abs(row[3 * t]! - 2 * (center - 0.5))).toBeLessThanOrEqual(0.51);
  }
});

it('a window is that part of the whole, and a box sees nothing outside', () => {
  const pixels = noise(30, 20, 4);
  const box = { left: 5, top: 4, width: 20, height: 11 };
  const size = { width: 30, height: 20, stride: 4 };
  const all = resize(pixels, size, box, { width: 13, height: 17 });
  const window = { left: 3, top: 6, width: 7, height: 9 };
  const part = resize(pixels, size, box, { width: 13, height: 17 }, window);
  for (let y = 0; y < 9; y++) {
    for (let k = 0; k < 21; k++) expect(part[y * 21 + k]).toBe(all[((y + 6) * 13 + 3) * 3 + k]);
  }
  for (let i = 0; i < pixels.length; i++) {
    const [x, y] = [Math.floor(i / 4) % 30, Math.floor(i / 120)];
    if (x < 5 || x >= 25 || y < 4 || y >= 15) pixels[i]! ^= 255;
  }
  expect(resize(pixels, size, box, { width: 13, height: 17 })).toEqual(all);
});

const PYTHON = process.env['BNN_PYTHON'] ?? 'python3';
const hasPillow = spawnSync(PYTHON, ['-c', 'import PIL']).status === 0;

describe.skipIf(!hasPillow)(
  `Pillow${hasPillow ? '' : ' (skipped: not installed; BNN_PYTHON chooses the interpreter)'}`,
  () => {
    const SCRIPT = `
import json, sys
from PIL import Image
for width, height, w, h in json.loads(sys.argv[1]):
    data = sys.stdin.buffer.read(width * height * 3)
    picture = Image.frombytes("RGB", (width, height), data)
    sys.stdout.buffer.write(picture.resize((w, h), Image.Resampling.BILINEAR).tobytes())
`;
    it('finds the same bytes', () => {
      const cases = [
        [1, 1, 5, 3],
        [7, 5, 32, 32],
        [48, 24, 16, 8],
        [33, 90, 31, 4],
        [500, 375, 341, 256],
        [640, 21, 17, 40],
        [1999, 3, 32, 32],
      ] as const;
      const pictures = cases.map(([width, height]) => noise(width, height, 3));
      const { stdout, stderr } = spawnSync(PYTHON, ['-c', SCRIPT, JSON.stringify(cases)], {
        input: Buffer.concat(pictures),
        maxBuffer: 2 ** 26,
      });
      expect(String(stderr)).toBe('');
      const ours = cases.map(([width, height, w, h], i) =>
        resize(pictures[i]!, { width, height, stride: 3 }, whole(width, height), { width: w, height: h }),
      );
      expect(Buffer.compare(Buffer.concat(ours), stdout)).toBe(0);
    });
  },
);

// Worked out by hand.
it.each([
  [500, 375, 'squash', { width: 224, height: 112 }],
  [500, 375, 'pad', { width: 149, height: 112, pad: { left: 37, top: 0, width: 224, height: 112 } }],
  [1000, 375, 'pad', { width: 224, height: 84, pad: { left: 0, top: 14, width: 224, height: 112 } }],
  [3, 4000, 'pad', { width: 1, height: 112, pad: { left: 111, top: 0, width: 224, height: 112 } }],
  [500, 375, 'crop', { width: 256, height: 192, cutAfter: { left: 16, top: 40, width: 224, height: 112 } }],
  [900, 375, 'crop', { width: 307, height: 128, cutAfter: { left: 42, top: 8, width: 224, height: 112 } }],
] as const)('%d x %d, %s to 224 x 112', (width, height, fit, expected) => {
  expect(framePicture(width, height, pictureFrame(224, 112, fit))).toEqual(expected);
});
