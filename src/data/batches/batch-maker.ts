/** Which images a batch holds and what is done to them: the same bits in whatever thread and order batches are made. */

import { type Part, partOf } from '../../core/numbers/part.ts';
import { Rng } from '../../core/numbers/rng.ts';
import { BnnError } from '../../errors.ts';
import type { Split } from '../dataset.ts';
import { type Normalization, normalizationTable, resolveNormalization } from '../normalization.ts';
import { type Augmentation, drawPlacement, placeImage, UNCHANGED } from './augment.ts';
import { type BrokenImage, type BrokenPolicy, decodePictures } from './decode-pictures.ts';
import { bytesOf, type PictureBytes, partOfBytes, sameBytes, wordBytes } from './picture-bytes.ts';

export interface BatchOptions {
  readonly batchSize: number;
  /** Of shuffling and augmentation; 0 unless told. */
  readonly seed?: number | undefined;
  /** A new order in every epoch; false unless told. */
  readonly shuffle?: boolean | undefined;
  /** None unless told. */
  readonly augment?: Augmentation | null | undefined;
  /** What is done to each picture before it is augmented; nothing unless told. */
  readonly change?: PictureChange | undefined;
  /** `dataset` unless told. */
  readonly normalize?: Normalization | undefined;
  /** Pictures stay bytes, for whoever normalises them elsewhere: a quarter of the memory. False unless told. */
  readonly asBytes?: boolean | undefined;
  /** Leave out a last batch that is not full; false unless told. */
  readonly dropLast?: boolean | undefined;
  /** `stop` unless told. A picture that cannot be read at all (no such file, no permission) stops in any case. */
  readonly onBroken?: BrokenPolicy | undefined;
  /** Only this part of each batch is read and made, with the same bits as in the whole; all of it unless told. */
  readonly part?: Part | undefined;
}

/**
 * Changes one picture in place.
 *
 * @param pixels  u8[height][width][channels].
 * @param sample  its position within the split.
 */
export type PictureChange = (pixels: Uint8Array, epoch: number, sample: number) => void;

/** Its arrays belong to whoever receives it. */
export interface Batch {
  /** f32[count][height][width][channels]; empty where there are `bytes`. */
  readonly images: Float32Array;
  /** With `asBytes`: the pictures. */
  readonly bytes?: PictureBytes;
  /** i32[count], class indices. */
  readonly labels: Int32Array;
  /** i32[count], positions within the split. */
  readonly indices: Int32Array;
  readonly count: number;
  /** Position of the batch within its epoch. */
  readonly index: number;
  /** What was left out of it, in the order of the batch. */
  readonly broken: readonly BrokenImage[];
  /** Where these pictures stand in a batch of which they are a part, and how many that has; before broken ones were left out. */
  readonly whole: { readonly from: number; readonly count: number };
}

export interface BatchMaker {
  readonly batchesPerEpoch: number;
  /** @param reuse  may give so many bytes of memory to write into, instead of new ones. */
  make(epoch: number, index: number, reuse?: (bytes: number) => ArrayBuffer | undefined): Promise<Batch>;
}

const ALL: Part = { index: 0, of: 1 };

/**
 * Prepares the making of batches.
 *
 * @throws {BnnError} E_USAGE for options that make no sense, or that leave no batch.
 */
export function createBatchMaker(split: Split, options: BatchOptions): BatchMaker {
  const { batchSize, seed = 0, shuffle = false, augment = null, normalize = 'dataset', dropLast = false } = options;
  const { part = ALL, asBytes = false } = options;
  checkCount('batchSize', batchSize, 1);
  if (augment !== null) checkAugmentation(augment, split);
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
  const same = sameBytes(split.channels);
  const pixelsPerImage = split.height * split.width * split.channels;
  const order = cachedOrder(split.count, seed, shuffle);

  const scratch = new Uint8Array(options.change === undefined ? 0 : pixelsPerImage);
  const changed = (pixels: Uint8Array, from: number, epoch: number, sample: number) => {
    if (options.change === undefined) return { pixels, from };
    scratch.set(pixels.subarray(from, from + pixelsPerImage));
    options.change(scratch, epoch, sample);
    return { pixels: scratch, from: 0 };
  };

  const make: BatchMaker['make'] = async (epoch, index, reuse) => {
    const begin = index * batchSize;
    const all = Math.min(batchSize, split.count - begin);
    const [from, end] = partOf(all, part);
    const indices = order(epoch).slice(begin + from, begin + end);
    const count = indices.length;
    const whole = { from, count: all };
    const length = count * pixelsPerImage;
    const size = asBytes ? wordBytes(length) : 4 * length;
    const buffer = reuse?.(size) ?? new ArrayBuffer(size);
    const bytes = new Uint8Array(buffer, 0, asBytes ? length : 0);
    const images = asBytes ? new Float32Array(0) : new Float32Array(buffer);
    const pictures = { images, ...(asBytes && { bytes: { words: new Int32Array(buffer), table } }) };
    const labels = Int32Array.from(indices, (i) => split.labels[i] ?? 0);
    const place = (i: number, given: Uint8Array, begin: number): void => {
      const sample = indices[i] ?? 0;
      const { pixels, from } = changed(given, begin, epoch, sample);
      const placement = augment === null ? UNCHANGED : drawPlacement(augment, seed, epoch, sample);
      const to = i * pixelsPerImage;
      if (asBytes) placeImage(pixels, from, bytes, to, split, same, placement);
      else placeImage(pixels, from, images, to, split, table, placement);
    };
    if (split.kind === 'memory') {
      for (let i = 0; i < count; i++) place(i, split.images, (indices[i] ?? 0) * pixelsPerImage);
      return { ...pictures, labels, indices, count, index, broken: [], whole };
    }
    const broken = await decodePictures(split, indices, { ...options, seed, epoch }, (i, pixels) =>
      place(i, pixels, 0),
    );
    return leaveOut({ ...pictures, labels, indices, count, index, broken: [], whole }, broken, pixelsPerImage);
  };
  return { batchesPerEpoch, make };
}

/** @throws {BnnError} E_USAGE for what makes no sense, or cannot be done to the pictures of the split. */
function checkAugmentation({ padCrop, cropScale = 0 }: Augmentation, split: Split): void {
  checkCount('padCrop', padCrop, 0);
  if (!(cropScale >= 0 && cropScale <= 1)) {
    throw new BnnError('E_USAGE', `cropScale is ${cropScale}, expected a share between 0 and 1`, { hint: 'e.g. 0.08' });
  }
  if (cropScale > 0 && split.kind === 'memory') {
    throw new BnnError('E_USAGE', 'cropScale is for pictures of various sizes, those of this data set have one size', {
      hint: 'use padCrop instead, e.g. --pad-crop 4',
    });
  }
}

/** The memory of its pictures. */
export function bufferOf({ images, bytes }: Pick<Batch, 'images' | 'bytes'>): ArrayBuffer {
  return (bytes?.words ?? images).buffer as ArrayBuffer;
}

/** The batch without its broken pictures, the others in their order; it may become empty. */
function leaveOut(batch: Batch, broken: ReadonlyMap<number, BrokenImage>, pixelsPerImage: number): Batch {
  if (broken.size === 0) return batch;
  const slots = Array.from(batch.indices.keys());
  const bad = slots.map((i) => broken.get(i)).filter((image) => image !== undefined);
  const good = slots.filter((i) => !broken.has(i));
  const { images, bytes, labels, indices, index, whole } = batch;
  const move = (pixels: Float32Array | Uint8Array): void => {
    for (const [to, from] of good.entries()) {
      pixels.copyWithin(to * pixelsPerImage, from * pixelsPerImage, (from + 1) * pixelsPerImage);
    }
  };
  move(bytes === undefined ? images : bytesOf(bytes.words));
  const length = good.length * pixelsPerImage;
  return {
    images: images.slice(0, length),
    ...(bytes !== undefined && { bytes: partOfBytes(bytes, 0, length) }),
    labels: Int32Array.from(good, (i) => labels[i] ?? 0),
    indices: Int32Array.from(good, (i) => indices[i] ?? 0),
    count: good.length,
    index,
    broken: bad,
    whole,
  };
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
