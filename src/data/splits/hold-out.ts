/** Taking validation images out of the training split, so that the test set is not what a run is chosen by. */

import { Rng } from '../../core/numbers/rng.ts';
import { BnnError } from '../../errors.ts';
import type { Split } from '../dataset.ts';
import { selectPictures } from '../pictures/picture-source.ts';
import { createSharedBytes, createSharedInts } from '../shared-memory.ts';

/**
 * Splits off `count` images chosen by the seed; both parts keep the order of the original.
 *
 * @throws {BnnError} E_USAGE when no image would be left to train on.
 */
export function holdOut(split: Split, count: number, seed: number): { readonly train: Split; readonly held: Split } {
  if (count >= split.count) {
    throw new BnnError('E_USAGE', `cannot hold out ${count} of ${split.count} training images`, {
      hint: 'choose a smaller validation set',
    });
  }
  const chosen = new Uint8Array(split.count);
  for (const index of new Rng(seed, 0x686f6c64).permutation(split.count).subarray(0, count)) chosen[index] = 1;
  const part = (held: number): Split => {
    const indices = Array.from(chosen.keys()).filter((i) => chosen[i] === held);
    return subset(split, indices);
  };
  return { train: part(0), held: part(1) };
}

/** The images at `indices`, in their order. */
export function subset(split: Split, indices: readonly number[]): Split {
  const labels = createSharedInts(indices.length);
  for (const [i, index] of indices.entries()) labels[i] = split.labels[index] ?? 0;
  if (split.kind === 'files') {
    return { ...split, count: indices.length, labels, pictures: selectPictures(split.pictures, indices) };
  }
  const size = split.height * split.width * split.channels;
  const images = createSharedBytes(indices.length * size);
  for (const [i, index] of indices.entries()) {
    images.set(split.images.subarray(index * size, (index + 1) * size), i * size);
  }
  return { ...split, count: indices.length, labels, images };
}
