/** A data set from arrays: pixels and labels as its maker has them, everything else found out here. */

import { BnnError } from '../../errors.ts';
import { type Dataset, fingerprintOf, type LoadOptions, type MemorySplit } from '../dataset.ts';
import type { ChannelStatistics } from '../normalization.ts';
import { createSharedBytes, createSharedInts } from '../shared-memory.ts';
import { limitOf, refuseImageSize } from '../splits/limits.ts';

export interface PlainSplit {
  /** u8[count][height][width][channels]. */
  readonly images: Uint8Array;
  /** count class indices. */
  readonly labels: ArrayLike<number>;
}

export interface PlainDataset {
  /** Class names; the position is the label. */
  readonly classes: readonly string[];
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly train: PlainSplit;
  readonly test: PlainSplit;
  /** Per channel, of pixels / 255; those of the training pictures unless told. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** Where it was found; the folder that was given unless told. */
  readonly root?: string;
}

/**
 * Checks and completes a data set. Its limits take the first so many pictures of a split.
 *
 * @throws {BnnError} E_SHAPE or E_FORMAT that says what does not fit what.
 */
export function completeDataset(name: string, plain: PlainDataset, options: LoadOptions): Dataset {
  const { classes, height, width, channels } = plain;
  for (const [what, value] of Object.entries({ height, width, channels })) {
    if (!Number.isSafeInteger(value) || value < 1) fail(name, `${what} is ${value}, expected a whole number of pixels`);
  }
  if (!Array.isArray(classes) || !classes.every((it) => typeof it === 'string')) {
    fail(name, 'classes are not a list of names');
  }
  refuseImageSize(name, height, options.imageSize);
  const splits = {
    train: sharedSplit(name, 'train', plain, limitOf('limitTrain', options.limitTrain)),
    test: sharedSplit(name, 'test', plain, limitOf('limitTest', options.limitTest)),
  };
  const own = statisticsOf(plain);
  const statistics = { mean: plain.mean ?? own.mean, std: plain.std ?? own.std };
  const root = plain.root ?? options.dir ?? name;
  const facts = { name, classes, height, width, channels, root, fingerprint: fingerprintOf(Object.values(splits)) };
  const train = { ...splits.train, ...statistics };
  return { ...facts, train, test: { ...splits.test, ...statistics }, ...statistics };
}

function fail(name: string, message: string): never {
  throw new BnnError('E_SHAPE', `data set ${name}: ${message}`);
}

function sharedSplit(name: string, which: 'train' | 'test', plain: PlainDataset, limit: number): MemorySplit {
  const { classes, height, width, channels } = plain;
  const { images, labels } = plain[which] ?? {};
  if (!(images instanceof Uint8Array) || labels === undefined) {
    fail(name, `${which} is not { images: Uint8Array, labels }`);
  }
  const pixels = height * width * channels;
  if (images.length !== labels.length * pixels) {
    fail(
      name,
      `${which} has ${images.length} bytes of images and ${labels.length} labels, expected ${labels.length} × ${height} × ${width} × ${channels} = ${labels.length * pixels} bytes`,
    );
  }
  const wrong = Array.from(labels).findIndex((it) => !Number.isInteger(it) || it < 0 || it >= classes.length);
  if (wrong >= 0)
    fail(name, `label ${labels[wrong]} of ${which} picture ${wrong}, expected 0 to ${classes.length - 1}`);
  const count = Math.min(labels.length, limit);
  const shared = { images: createSharedBytes(count * pixels), labels: createSharedInts(count) };
  shared.images.set(images.subarray(0, count * pixels));
  for (let i = 0; i < count; i++) shared.labels[i] = labels[i] ?? 0;
  return { kind: 'memory', count, height, width, channels, mean: [], std: [], ...shared };
}

/** Mean and population standard deviation per channel, of pixels / 255 over all training pictures. */
function statisticsOf({ train, channels }: PlainDataset): ChannelStatistics {
  const histogram = new Float64Array(channels * 256);
  for (let i = 0; i < train.images.length; i++) {
    const cell = (i % channels) * 256 + (train.images[i] ?? 0);
    histogram[cell] = (histogram[cell] ?? 0) + 1;
  }
  const count = Math.max(1, train.images.length / channels);
  const of = (c: number, value: (pixel: number) => number): number => {
    let sum = 0;
    for (let p = 0; p < 256; p++) sum += (histogram[c * 256 + p] ?? 0) * value(p / 255);
    return sum / count;
  };
  const mean = Array.from({ length: channels }, (_, c) => of(c, (p) => p));
  // A channel of one value would divide by 0.
  const std = mean.map((m, c) => Math.sqrt(of(c, (p) => (p - m) ** 2)) || 1);
  return { mean, std };
}
