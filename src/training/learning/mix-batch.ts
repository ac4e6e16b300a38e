/** Augmentations of a whole batch, after normalization (0 is the mean of the data). Drawn from (seed, epoch, batch) alone. */

import { Rng } from '../../core/numbers/rng.ts';

const STREAM = 0x6d697862;

export interface ImageSize {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface Mixed {
  readonly images: Float32Array;
  /** The labels of the pictures that were mixed in; null without mixup. */
  readonly otherLabels: Int32Array | null;
  /** Share of the picture's own label, at least ½. */
  readonly share: number;
}

export interface MixOptions {
  /** Side of the square that is cut out of each picture, in pixels; 0 for none. */
  readonly cutout: number;
  /** α of mixup's Beta(α, α); 0 for none. */
  readonly mixup: number;
}

/** Which pictures of a batch there are: `count` of them from `from` on. */
interface Place {
  readonly from: number;
  /** Of the whole batch. */
  readonly count: number;
}

/** The generator of a batch. */
export function mixRng(seed: number, epoch: number, batch: number): Rng {
  return new Rng(seed, STREAM, epoch, batch);
}

/**
 * Cutout (DeVries and Taylor, arXiv:1708.04552), then mixup (Zhang et al., arXiv:1710.09412) with one share for the batch. Of a part of a
 * batch, each picture is cut as in the whole; it is mixed with another one of the part.
 *
 * @param images  f32[count][height][width][channels]; changed in place by cutout.
 * @param whole   where these pictures stand in the batch; all of it unless told.
 */
export function mixBatch(
  images: Float32Array,
  labels: Int32Array,
  size: ImageSize,
  options: MixOptions,
  rng: Rng,
  whole: Place = { from: 0, count: labels.length },
): Mixed {
  if (options.cutout > 0) cutOut(images, labels.length, size, options.cutout, rng, whole);
  if (options.mixup === 0) return { images, otherLabels: null, share: 1 };
  const drawn = symmetricBeta(options.mixup, rng);
  // Mixing with 1 − λ is the same after exchanging partners; with λ ≥ ½ a picture keeps its own label as the main one.
  const share = Math.max(drawn, 1 - drawn);
  const order = rng.permutation(labels.length);
  const pixels = images.length / labels.length;
  const mixed = new Float32Array(images.length);
  for (const [i, other] of order.entries()) {
    const [own, from] = [i * pixels, other * pixels];
    for (let j = 0; j < pixels; j++) {
      mixed[own + j] = share * (images[own + j] ?? 0) + (1 - share) * (images[from + j] ?? 0);
    }
  }
  return { images: mixed, otherLabels: order.map((other) => labels[other] ?? 0), share };
}

/** Zeroes a square around a uniformly drawn pixel of each picture; what lies outside is lost. */
function cutOut(
  images: Float32Array,
  own: number,
  size: ImageSize,
  side: number,
  rng: Rng,
  { from, count }: Place,
): void {
  const { height, width, channels } = size;
  for (let drawn = 0; drawn < count; drawn++) {
    const top = rng.below(height) - Math.floor(side / 2);
    const left = rng.below(width) - Math.floor(side / 2);
    const n = drawn - from;
    if (n < 0 || n >= own) continue;
    const [firstColumn, endColumn] = [Math.max(0, left), Math.min(width, left + side)];
    for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
      const row = (n * height + y) * width;
      images.fill(0, (row + firstColumn) * channels, (row + endColumn) * channels);
    }
  }
}

/** A draw from Beta(α, α) by Jöhnk's method, whose cost grows with α; fine for α ≤ 2. */
export function symmetricBeta(alpha: number, rng: Rng): number {
  for (;;) {
    const a = rng.uniform() ** (1 / alpha);
    const b = rng.uniform() ** (1 / alpha);
    if (a + b <= 1 && a + b > 0) return a / (a + b);
  }
}
