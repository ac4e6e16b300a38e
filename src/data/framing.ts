/** Which part of a picture a network sees: the middle, for evaluation, or a random part, for training. */

import { Rng } from '../core/rng.ts';

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Steps from a decoded picture to a square one, in this order. */
export interface Framing {
  /** Cut out of the original pixels. */
  readonly cut?: Box;
  /** Size to which what is left is resized. */
  readonly width: number;
  readonly height: number;
  /** Cut out of the resized pixels. */
  readonly cutAfter?: Box;
}

/** Ratios of width to height of random crops, and attempts to find one that fits: as in torchvision's RandomResizedCrop. */
const RATIO = [3 / 4, 4 / 3] as const;
const ATTEMPTS = 10;
/** Keeps the draws of a crop apart from those of the flip of the same picture. */
const STREAM = 0x63726f70;

/** The shorter side resized to `shorterSide`, the other in proportion; then the middle `size` x `size`. */
export function frameMiddle(width: number, height: number, shorterSide: number, size: number): Framing {
  const scale = shorterSide / Math.min(width, height);
  const newWidth = width <= height ? shorterSide : Math.trunc(width * scale);
  const newHeight = height <= width ? shorterSide : Math.trunc(height * scale);
  return {
    width: newWidth,
    height: newHeight,
    cutAfter: { left: cropOffset(newWidth - size), top: cropOffset(newHeight - size), width: size, height: size },
  };
}

/** Half of what is cut off, to the nearest even number when it is not whole (Python's rounding, hence torchvision's). */
function cropOffset(surplus: number): number {
  const floor = Math.floor(surplus / 2);
  return surplus % 2 === 0 ? floor : floor + (floor % 2);
}

/**
 * A random part of a picture, resized to `size` x `size`: its area is a share of the picture drawn uniformly from [least, 1], its
 * ratio of width to height is drawn log-uniformly from 3/4 … 4/3, its place uniformly. When ten draws do not fit into the picture,
 * the largest middle part with an allowed ratio.
 *
 * The algorithm of torchvision's RandomResizedCrop. It depends on seed, epoch and sample alone.
 */
export function frameCrop(
  width: number,
  height: number,
  size: number,
  least: number,
  key: { readonly seed: number; readonly epoch: number; readonly sample: number },
): Framing {
  const rng = new Rng(key.seed, key.epoch, key.sample, STREAM);
  return { cut: drawCrop(width, height, least, rng), width: size, height: size };
}

function drawCrop(width: number, height: number, least: number, rng: Rng): Box {
  const [narrowest, widest] = RATIO;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const area = width * height * (least + (1 - least) * rng.uniform());
    const ratio = narrowest * (widest / narrowest) ** rng.uniform();
    const w = Math.round(Math.sqrt(area * ratio));
    const h = Math.round(Math.sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return { left: rng.below(width - w + 1), top: rng.below(height - h + 1), width: w, height: h };
  }
  const ratio = width / height;
  const w = ratio > widest ? Math.round(height * widest) : width;
  const h = ratio < narrowest ? Math.round(width / narrowest) : height;
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h };
}
