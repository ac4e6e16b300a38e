/** Which images a batch holds and what is done to them: the same bits in whatever thread and order batches are made. */

import { Rng } from '../core/rng.ts';
import { BnnError } from '../errors.ts';
import { type Augmentation, drawPlacement, placeImage, UNCHANGED } from './augment.ts';
import type { FileSplit, Split } from './dataset.ts';
import { decodeImage } from './decode-image.ts';
import { type Normalization, normalizationTable, resolveNormalization } from './normalization.ts';

export interface BatchOptions {
  readonly batchSize: number;
  /** Of shuffling and augmentation; 0 unless told. */
  readonly seed?: number | undefined;
  /** A new order in every epoch; false unless told. */
  readonly shuffle?: boolean | undefined;
  /** None unless told. */
  readonly augment?: Augmentation | null | undefined;
  /** `dataset` unless told. */
  readonly normalize?: Normalization | undefined;
  /** Leave out a last batch that is not full; false unless told. */
  readonly dropLast?: boolean | undefined;
}

/** Its arrays belong to whoever receives it. */
export interface Batch {
  /** f32[count][height][width][channels]. */
  readonly images: Float32Array;
  /** i32[count], class indices. */
  readonly labels: Int32Array;
  /** i32[count], positions within the split. */
  readonly indices: Int32Array;
  readonly count: number;
  /** Position of the batch within its epoch. */
  readonly index: number;
}

export interface BatchMaker {
  readonly batchesPerEpoch: number;
  make(epoch: number, index: number): Promise<Batch>;
}

/** Pictures that are decoded at a time; sharp's own thread pool has four threads. */
const DECODE_AT_ONCE = 4;

/**
 * Prepares the making of batches.
 *
 * @throws {BnnError} E_USAGE for options that make no sense, or that leave no batch.
 */
export function createBatchMaker(split: Split, options: BatchOptions): BatchMaker {
  const { batchSize, seed = 0, shuffle = false, augment = null, normalize = 'dataset', dropLast = false } = options;
  checkCount('batchSize', batchSize, 1);
  if (augment !== null) checkCount('padCrop', augment.padCrop, 0);
  const batches = split.count / batchSize;
  const batchesPerEpoch = dropLast ? Math.floor(batches) : Math.ceil(batches);
  if (batchesPerEpoch === 0) {
    const why =
      split.count === 0 ? 'the split has no images' : `${split.count} images do not fill a batch of ${batchSize}`;
    throw new BnnError('E_USAGE', why, {
      hint: split.count === 0 ? 'check the data folder and the limits' : 'choose a smaller batch or more images',
    });
  }
  const table = normalizationTable(resolveNormalization(normalize, split));
  const pixelsPerImage = split.height * split.width * split.channels;
  const order = cachedOrder(split.count, seed, shuffle);

  const make = async (epoch: number, index: number): Promise<Batch> => {
    const begin = index * batchSize;
    const indices = order(epoch).slice(begin, Math.min(begin + batchSize, split.count));
    const count = indices.length;
    const images = new Float32Array(count * pixelsPerImage);
    const labels = Int32Array.from(indices, (i) => split.labels[i] ?? 0);
    const place = (i: number, pixels: Uint8Array, from: number): void => {
      const placement = augment === null ? UNCHANGED : drawPlacement(augment, seed, epoch, indices[i] ?? 0);
      placeImage(pixels, from, images, i * pixelsPerImage, split, table, placement);
    };
    if (split.kind === 'memory') {
      for (let i = 0; i < count; i++) place(i, split.images, (indices[i] ?? 0) * pixelsPerImage);
    } else {
      await decodeAll(split, indices, (i, pixels) => place(i, pixels, 0));
    }
    return { images, labels, indices, count, index };
  };
  return { batchesPerEpoch, make };
}

/** Decodes the pictures with the given indices, a few at a time. */
async function decodeAll(
  split: FileSplit,
  indices: Int32Array,
  use: (i: number, pixels: Uint8Array) => void,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < indices.length) {
      const i = next++;
      const file = split.files[indices[i] ?? 0];
      if (file === undefined) throw new Error(`internal: no file for image ${indices[i]}`);
      use(i, await decodeImage(file, split.resizeShorterSide, split.height));
    }
  };
  await Promise.all(Array.from({ length: DECODE_AT_ONCE }, lane));
}

/** The order of the images in an epoch; the latest one is kept. */
function cachedOrder(count: number, seed: number, shuffle: boolean): (epoch: number) => Int32Array {
  let latest: { readonly epoch: number; readonly order: Int32Array } | undefined;
  return (epoch) => {
    if (!shuffle) epoch = 0;
    if (latest?.epoch !== epoch) {
      const order = shuffle ? new Rng(seed, epoch).permutation(count) : Int32Array.from({ length: count }, (_, i) => i);
      latest = { epoch, order };
    }
    return latest.order;
  };
}

/** @throws {BnnError} E_USAGE for what is not a whole number ≥ `least`. */
export function checkCount(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new BnnError('E_USAGE', `${name} is ${value}, expected a whole number of at least ${least}`);
}
