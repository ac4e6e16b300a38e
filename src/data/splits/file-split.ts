/** What the data sets of encoded pictures have in common. */

import { Rng } from '../../core/numbers/rng.ts';
import { type PictureFrame, pictureFrame } from '../../core/pictures/preprocessing.ts';
import { BnnError } from '../../errors.ts';
import type { FileSplit, LoadOptions } from '../dataset.ts';
import type { ClassFolders } from '../folders/class-folders.ts';
import { IMAGENET_STATISTICS } from '../normalization.ts';
import { type PictureSource, packTexts } from '../pictures/picture-source.ts';
import { createSharedInts } from '../shared-memory.ts';

const DEFAULT_SIZE = 224;
/** Pictures often lie sorted by class, so a limit takes them in this one shuffled order: every class keeps its share. */
const LIMIT_SEED = 0x1ace;

/**
 * How pictures are framed for evaluation: to a square unless a model wants something else.
 *
 * @throws {BnnError} E_USAGE for what is not a whole number of pixels.
 */
export function frameOf({ imageSize = DEFAULT_SIZE, fit = 'crop', frame }: LoadOptions): PictureFrame {
  if (frame !== undefined) return frame;
  if (Number.isSafeInteger(imageSize) && imageSize >= 1) return pictureFrame(imageSize, imageSize, fit);
  throw new BnnError('E_USAGE', `image size ${imageSize}, expected a whole number of pixels`, {
    hint: 'e.g. --image-size 224',
  });
}

/** Which of `count` pictures a limit leaves, in their order of use; undefined for all as they are. */
export function limitedOrder(count: number, limit: number): Int32Array | undefined {
  return limit < count ? new Rng(LIMIT_SEED).permutation(count).subarray(0, limit) : undefined;
}

/** A split of colour pictures that are framed so. */
export function createFileSplit(pictures: PictureSource, labels: ArrayLike<number>, frame: PictureFrame): FileSplit {
  const shared = createSharedInts(labels.length);
  shared.set(labels);
  return {
    kind: 'files',
    count: labels.length,
    height: frame.height,
    width: frame.width,
    channels: 3,
    ...IMAGENET_STATISTICS,
    labels: shared,
    pictures,
    frame,
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
  frame: PictureFrame,
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
  if (order === undefined) return createFileSplit({ kind: 'files', paths: packTexts(files) }, labels, frame);
  const paths = packTexts(Array.from(order, (i) => files[i] ?? ''));
  return createFileSplit(
    { kind: 'files', paths },
    Array.from(order, (i) => labels[i] ?? 0),
    frame,
  );
}
