/**
 * Resizing of pictures with a triangle filter ("bilinear", widened when shrinking so that every pixel counts): what libvips
 * does with kernel `linear` and Pillow with BILINEAR, to within rounding.
 */

/** Where one output pixel of an axis reads, and with what weights (which sum to 1). */
interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

function tapsOf(from: number, to: number): Taps[] {
  const scale = from / to;
  const reach = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - reach));
    const last = Math.min(from, Math.ceil(center + reach));
    const weights = Float64Array.from({ length: last - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - center) / reach)),
    );
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** A part of a picture, in pixels. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Resizes the part `source` of a picture.
 *
 * @param pixels    u8[height][width][stride]; the first `channels` of each pixel are used.
 * @param channels  of the result.
 * @returns         f32[to.height][to.width][channels], 0 to 255, not rounded.
 */
export function resize(
  pixels: ArrayLike<number>,
  size: { readonly width: number; readonly stride: number },
  source: Rectangle,
  to: { readonly width: number; readonly height: number },
  channels: number,
): Float32Array {
  const across = tapsOf(source.width, to.width);
  const down = tapsOf(source.height, to.height);
  const rows = new Float64Array(source.height * to.width * channels);
  for (let y = 0; y < source.height; y++) {
    const row = (source.top + y) * size.width + source.left;
    for (const [x, { first, weights }] of across.entries()) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (const [k, weight] of weights.entries()) sum += weight * (pixels[(row + first + k) * size.stride + c] ?? 0);
        rows[(y * to.width + x) * channels + c] = sum;
      }
    }
  }
  const result = new Float32Array(to.height * to.width * channels);
  const line = to.width * channels;
  for (const [y, { first, weights }] of down.entries()) {
    for (let i = 0; i < line; i++) {
      let sum = 0;
      for (const [k, weight] of weights.entries()) sum += weight * (rows[(first + k) * line + i] ?? 0);
      result[y * line + i] = sum;
    }
  }
  return result;
}
