import { expect, test } from 'vitest';
import { toChannelsFirst } from '../../src/inference/image-input.ts';

test('toChannelsFirst moves each element where NCHW has it', () => {
  const [n, h, w, c] = [2, 3, 4, 3];
  const nhwc = Float32Array.from({ length: n * h * w * c }, (_, i) => i);
  const nchw = toChannelsFirst(nhwc, n, c);
  for (let i = 0; i < n; i++) {
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        for (let k = 0; k < c; k++) {
          expect(nchw[((i * c + k) * h + y) * w + x]).toBe(nhwc[((i * h + y) * w + x) * c + k]);
        }
      }
    }
  }
});

test('grey pictures are the same in both layouts', () => {
  const grey = Float32Array.of(1, 2, 3, 4);
  expect([...toChannelsFirst(grey, 2, 1)]).toEqual([1, 2, 3, 4]);
});
