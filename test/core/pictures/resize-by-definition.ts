/**
 * A triangle filter by its definition, in float64 and both directions at once: pixel s of the source, whose centre is s + 1/2, counts by
 * its distance from the centre of the result's pixel, (t + 1/2) · ratio, as a share of max(1, ratio). Enlarging, this is bilinear
 * interpolation between the centres; shrinking, every pixel counts.
 */

import type { Box } from '../../../src/core/pictures/frame-picture.ts';

function weightsOf(length: number, count: number, target: number): Float64Array {
  const ratio = length / count;
  const middle = (target + 0.5) * ratio;
  const weights = Float64Array.from({ length }, (_, s) =>
    Math.max(0, 1 - Math.abs(s + 0.5 - middle) / Math.max(1, ratio)),
  );
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

/** f64[to.height][to.width][3], not rounded. */
export function resizeByDefinition(
  pixels: ArrayLike<number>,
  { width, stride }: { readonly width: number; readonly stride: number },
  box: Box,
  to: { readonly width: number; readonly height: number },
): Float64Array {
  const result = new Float64Array(to.width * to.height * 3);
  for (let y = 0; y < to.height; y++) {
    const down = weightsOf(box.height, to.height, y);
    for (let x = 0; x < to.width; x++) {
      const across = weightsOf(box.width, to.width, x);
      for (const [sy, wy] of down.entries()) {
        for (const [sx, wx] of across.entries()) {
          const from = ((box.top + sy) * width + box.left + sx) * stride;
          if (wx * wy > 0)
            for (let c = 0; c < 3; c++) result[(y * to.width + x) * 3 + c]! += wx * wy * pixels[from + c]!;
        }
      }
    }
  }
  return result;
}
