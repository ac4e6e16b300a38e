/** What a data set is to the rest of the project: two splits of labelled images and a few facts about them. */

import { createHash } from 'node:crypto';
import type { Fields, ValuesOf } from '../core/field.ts';
import { type Fit, type PictureForm, type PictureFrame, wholeFrame } from '../core/pictures/preprocessing.ts';
import type { PictureSource } from './pictures/picture-source.ts';

/** What every split knows about its images; labels are class indices. */
interface SplitFacts {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** The data set's own statistics per channel, of pixels / 255 over the training images. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** i32[count] on shared memory, each in [0, classes). */
  readonly labels: Int32Array;
}

/** Images held in memory. */
export interface MemorySplit extends SplitFacts {
  readonly kind: 'memory';
  /** u8[count][height][width][channels] on shared memory, so that a worker sees it without a copy. */
  readonly images: Uint8Array;
}

/** Pictures that were decoded and framed once, on shared memory. */
export interface FramedPictures {
  /** u8[count][height][width][3]. */
  readonly pixels: Uint8Array;
  /** u8[count]: 1 where the pixels are there. */
  readonly ready: Uint8Array;
}

/** Images decoded when a batch needs them, and framed to height x width. */
export interface FileSplit extends SplitFacts {
  readonly kind: 'files';
  /** One picture for each label. */
  readonly pictures: PictureSource;
  /** How a picture becomes one of height x width; of random crops, only the size counts. */
  readonly frame: PictureFrame;
  /** Those that were framed in an earlier epoch. */
  readonly framed?: FramedPictures | undefined;
}

export type Split = MemorySplit | FileSplit;

export interface Dataset {
  readonly name: string;
  /** Class names; the position is the label. */
  readonly classes: readonly string[];
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly train: Split;
  readonly test: Split;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /**
   * sha256 (hex) over what is used: pixels (NHWC) and labels of both splits, whatever files they came from. For splits of files,
   * relative paths, sizes, labels and the encoded pictures; of large ones the times of change (`picture-fingerprint.ts`).
   */
  readonly fingerprint: string;
  /** Where it was found: a folder or an archive. */
  readonly root: string;
  /** What was found and not taken, and whatever else the user should know; none where it is absent. */
  readonly notes?: readonly string[] | undefined;
}

/** What a network that learns from a data set sees of any other picture. */
export function pictureFormOf({ test, height, width, channels }: PictureFacts): PictureForm {
  const frame = test?.kind === 'files' ? test.frame : wholeFrame(width, height);
  return { ...frame, filter: 'triangle', channelOrder: channels === 1 ? 'grey' : 'RGB', layout: 'NCHW' };
}
type PictureFacts = Pick<Dataset, 'height' | 'width' | 'channels'> & Partial<Pick<Dataset, 'test'>>;

/** What a loader reports while it works. */
export interface LoadProgress {
  readonly phase: 'download' | 'read';
  readonly doneBytes: number;
  /** Undefined where it is not known beforehand. */
  readonly totalBytes: number | undefined;
}

/** Which pictures of each class are tested on. */
export interface SplitChoice {
  /** In (0, 1). */
  readonly share: number;
  readonly seed: number;
}

export interface LoadOptions {
  /** Folder or archive to read; without it, what is embedded or was downloaded to the cache folder. */
  readonly dir?: string | undefined;
  /** Fetch what is missing from the official site. Never done without being asked. */
  readonly download?: boolean | undefined;
  /** Use only the first so many images of a split. */
  readonly limitTrain?: number | undefined;
  readonly limitTest?: number | undefined;
  /** Where the pictures are not divided: what becomes the test split. */
  readonly split?: SplitChoice | undefined;
  /** Side in pixels to which pictures of various sizes are framed; 224 unless told. Data sets of a fixed size refuse another. */
  readonly imageSize?: number | undefined;
  /** How pictures of various sizes are framed; `crop` unless told. */
  readonly fit?: Fit | undefined;
  /** Instead of `imageSize` and `fit`: exactly what a model wants. */
  readonly frame?: PictureFrame | undefined;
  /** The recipe's fields, for a data set of a plug-in; its own defaults unless told. */
  readonly values?: ValuesOf<Fields> | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/** sha256 (hex) over pixels and labels of in-memory splits, in the given order. */
export function fingerprintOf(splits: readonly Pick<MemorySplit, 'images' | 'labels'>[]): string {
  const hash = createHash('sha256');
  for (const { images, labels } of splits) {
    hash.update(images);
    hash.update(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength));
  }
  return hash.digest('hex');
}
