/** What the data sets of encoded pictures have in common. */

import { Rng } from '../core/rng.ts';
import { BnnError } from '../errors.ts';
import type { ClassFolders } from './class-folders.ts';
import type { FileSplit, LoadOptions } from './dataset.ts';
import { IMAGENET_STATISTICS } from './normalization.ts';
import { type PictureSource, packTexts } from './picture-source.ts';
import { createSharedInts } from './shared-memory.ts';

const DEFAULT_SIZE = 224;
/** The usual evaluation of ImageNet: shorter side to 256, of which the middle 224 are used; kept for other sizes. */
const RESIZE_RATIO = 256 / 224;
/** Pictures often lie sorted by class, so a limit takes them in this one shuffled order: every class keeps its share. */
const LIMIT_SEED = 0x1ace;

/**
 * The side of the square that pictures are framed to.
 *
 * @throws {BnnError} E_USAGE for what is not a whole number of pixels.
 */
export function imageSizeOf({ imageSize = DEFAULT_SIZE }: LoadOptions): number {
  if (Number.isSafeInteger(imageSize) && imageSize >= 1) return imageSize;
  throw new BnnError('E_USAGE', `image size ${imageSize}, expected a whole number of pixels`, {
    hint: 'e.g. --image-size 224',
  });
}

/** Which of `count` pictures a limit leaves, in their order of use; undefined for all as they are. */
export function limitedOrder(count: number, limit: number): Int32Array | undefined {
  return limit < count ? new Rng(LIMIT_SEED).permutation(count).subarray(0, limit) : undefined;
}

/** A split of square colour pictures of `size` pixels. */
export function createFileSplit(pictures: PictureSource, labels: ArrayLike<number>, size: number): FileSplit {
  const shared = createSharedInts(labels.length);
  shared.set(labels);
  return {
    kind: 'files',
    count: labels.length,
    height: size,
    width: size,
    channels: 3,
    ...IMAGENET_STATISTICS,
    labels: shared,
    pictures,
    resizeShorterSide: Math.round(size * RESIZE_RATIO),
  };
}

/**
 * The split of a listing, which may be missing.
 *
 * @param labelOf  the class of a folder; throws for one that has none.
 */
export function splitOfFolders(
  listing: ClassFolders | undefined,
  labelOf: (name: string) => number,
  size: number,
  limit: number,
): FileSplit {
  const files: string[] = [];
  const labels: number[] = [];
  for (const [i, name] of (listing?.names ?? []).entries()) {
    const label = labelOf(name);
    for (const file of listing?.files[i] ?? []) {
      files.push(file);
      labels.push(label);
    }
  }
  const order = limitedOrder(files.length, limit);
  if (order === undefined) return createFileSplit({ kind: 'files', paths: packTexts(files) }, labels, size);
  const paths = packTexts(Array.from(order, (i) => files[i] ?? ''));
  return createFileSplit(
    { kind: 'files', paths },
    Array.from(order, (i) => labels[i] ?? 0),
    size,
  );
}
