/** Random parts of pictures, for training; `core/pictures/frame-picture.ts` has those of evaluation. */

import { Rng } from '../../core/numbers/rng.ts';
import type { Box, Framing } from '../../core/pictures/frame-picture.ts';

/** Ratios of width to height of random crops, and attempts to find one that fits: as in torchvision's RandomResizedCrop. */
const RATIO = [3 / 4, 4 / 3] as const;
const ATTEMPTS = 10;
/** Keeps the draws of a crop apart from those of the flip of the same picture. */
const STREAM = 0x63726f70;

/**
 * A random part of a picture, resized to `size`: its area is a share of the picture drawn uniformly from [least, 1], its
 * ratio of width to height is drawn log-uniformly from 3/4 … 4/3, its place uniformly. When ten draws do not fit into the picture,
 * the largest middle part with an allowed ratio.
 *
 * The algorithm of torchvision's RandomResizedCrop. It depends on seed, epoch and sample alone.
 */
export function frameCrop(
  width: number,
  height: number,
  size: { readonly width: number; readonly height: number },
  least: number,
  key: { readonly seed: number; readonly epoch: number; readonly sample: number },
): Framing {
  const rng = new Rng(key.seed, key.epoch, key.sample, STREAM);
  return { cut: drawCrop(width, height, least, rng), width: size.width, height: size.height };
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
