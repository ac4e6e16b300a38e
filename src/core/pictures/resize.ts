/**
 * Resizing of pictures with a triangle filter: bilinear where it enlarges, and widened where it shrinks, so that every pixel counts
 * (antialiased). Pixels have their centres at half numbers; at the border only pixels that exist count.
 *
 * Bit for bit what Pillow does with BILINEAR (src/libImaging/Resample.c), and with it torchvision: across first, then down, in whole
 * numbers with weights of 22 bits, rounded to bytes after each. So any language finds the same pixels.
 */

import type { Box } from './frame-picture.ts';

/** Of the weights; 255 times their sum, 1, still fits into 31 bits. */
const FRACTION_BITS = 22;
const ONE = 2 ** FRACTION_BITS;
const HALF = ONE / 2;

/** Where the output pixels of an axis read, and with what weights. */
interface Taps {
  /** The first pixel that output i reads, and how many. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** i32[outputs][width], in units of 2^-22; those of one output add up to about 1. */
  readonly weights: Int32Array;
  readonly width: number;
}

/** Of the output pixels `begin` … `begin + outputs` of `to`. */
function tapsOf(from: number, to: number, begin: number, outputs: number): Taps {
  const scale = from / to;
  const reach = Math.max(1, scale);
  const width = 2 * Math.ceil(reach) + 1;
  const first = new Int32Array(outputs);
  const count = new Int32Array(outputs);
  const weights = new Int32Array(outputs * width);
  const own = new Float64Array(width);
  for (let i = 0; i < outputs; i++) {
    const center = (begin + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - reach + 0.5));
    const taps = Math.min(from, Math.trunc(center + reach + 0.5)) - start;
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      own[k] = Math.max(0, 1 - Math.abs((k + start - center + 0.5) * (1 / reach)));
      sum += own[k] ?? 0;
    }
    for (let k = 0; k < taps; k++) weights[i * width + k] = Math.trunc(0.5 + ((own[k] ?? 0) / sum) * ONE);
    first[i] = start;
    count[i] = taps;
  }
  return { first, count, weights, width };
}

export interface PixelSize {
  readonly width: number;
  readonly height: number;
  /** Numbers from one pixel to the next. */
  readonly stride: number;
}

/**
 * Resizes the part `source` of a picture.
 *
 * @param pixels  u8[height][width][stride]; the first three of each pixel are used.
 * @param window  the part of the result that is wanted; all of it unless told.
 * @returns       u8[window.height][window.width][3].
 */
export function resize(
  pixels: ArrayLike<number>,
  size: PixelSize,
  source: Box,
  to: { readonly width: number; readonly height: number },
  window: Box = { left: 0, top: 0, width: to.width, height: to.height },
): Uint8Array {
  const down = tapsOf(source.height, to.height, window.top, window.height);
  const last = window.height - 1;
  const top = down.first[0] ?? 0;
  const bottom = (down.first[last] ?? 0) + (down.count[last] ?? 0);
  const across = tapsOf(source.width, to.width, window.left, window.width);
  const rows = resizeRows(pixels, size, { ...source, top: source.top + top, height: bottom - top }, across);
  return resizeColumns(rows, window.width * 3, top, down);
}

function resizeRows(pixels: ArrayLike<number>, size: PixelSize, { left, top, height }: Box, taps: Taps): Uint8Array {
  const { first, count, weights, width } = taps;
  const { stride } = size;
  const outputs = first.length;
  const rows = new Uint8Array(height * outputs * 3);
  let target = 0;
  for (let y = 0; y < height; y++) {
    const row = ((top + y) * size.width + left) * stride;
    for (let x = 0; x < outputs; x++) {
      let from = row + (first[x] ?? 0) * stride;
      let [red, green, blue] = [HALF, HALF, HALF];
      const end = x * width + (count[x] ?? 0);
      for (let k = x * width; k < end; k++, from += stride) {
        const weight = weights[k] ?? 0;
        red += weight * (pixels[from] ?? 0);
        green += weight * (pixels[from + 1] ?? 0);
        blue += weight * (pixels[from + 2] ?? 0);
      }
      rows[target] = toByte(red);
      rows[target + 1] = toByte(green);
      rows[target + 2] = toByte(blue);
      target += 3;
    }
  }
  return rows;
}

/** @param top  the line of the source that `rows` begin with. */
function resizeColumns(rows: Uint8Array, line: number, top: number, taps: Taps): Uint8Array {
  const { first, count, weights, width } = taps;
  const result = new Uint8Array(first.length * line);
  const sums = new Int32Array(line);
  for (let y = 0; y < first.length; y++) {
    sums.fill(HALF);
    for (let k = 0; k < (count[y] ?? 0); k++) {
      const weight = weights[y * width + k] ?? 0;
      const from = ((first[y] ?? 0) - top + k) * line;
      for (let i = 0; i < line; i++) sums[i] = (sums[i] ?? 0) + weight * (rows[from + i] ?? 0);
    }
    for (let i = 0; i < line; i++) result[y * line + i] = toByte(sums[i] ?? 0);
  }
  return result;
}

function toByte(sum: number): number {
  return Math.min(255, sum >> FRACTION_BITS);
}
