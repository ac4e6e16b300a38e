/** The pictures of a batch, decoded; and what becomes of broken ones. */

import { framePicture } from '../../core/pictures/frame-picture.ts';
import { BnnError } from '../../errors.ts';
import type { FileSplit } from '../dataset.ts';
import { decodeImage } from '../pictures/decode-image.ts';
import { pictureName, readPicture } from '../pictures/picture-source.ts';
import type { Augmentation } from './augment.ts';
import { framedPicture, keepPicture } from './framed-pictures.ts';
import { frameCrop } from './framing.ts';

export const BROKEN_POLICIES = ['stop', 'skip'] as const;
/** `stop`: a picture that cannot be decoded is an error. `skip`: it is left out of its batch, which becomes smaller; an empty one is passed over. */
export type BrokenPolicy = (typeof BROKEN_POLICIES)[number];

/** A picture that was left out because it cannot be decoded. */
export interface BrokenImage {
  /** Position within the split. */
  readonly index: number;
  /** What it is called: a file, or a shard and a name in it. */
  readonly at: string;
  readonly message: string;
}

/** Pictures that are decoded at a time: one more for each of the four threads of libuv's pool, so that none waits for this thread. */
const DECODE_AT_ONCE = 8;

export interface DecodeOptions {
  readonly augment?: Augmentation | null | undefined;
  readonly onBroken?: BrokenPolicy | undefined;
  readonly seed: number;
  readonly epoch: number;
}

/**
 * Reads and decodes the pictures with the given indices, several at a time.
 *
 * @param use  called for each with its position in `indices`, in any order; the pixels are those of the split's frame.
 * @returns    the broken pictures by their position in `indices`.
 * @throws {BnnError} E_NOT_FOUND, E_IO or E_UNSUPPORTED when a picture cannot be read; E_FORMAT for a broken one, unless they are skipped.
 */
export async function decodePictures(
  split: FileSplit,
  indices: Int32Array,
  { augment, onBroken = 'stop', seed, epoch }: DecodeOptions,
  use: (i: number, pixels: Uint8Array) => void,
): Promise<Map<number, BrokenImage>> {
  const { pictures, frame } = split;
  const cropScale = augment?.cropScale ?? 0;
  const broken = new Map<number, BrokenImage>();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < indices.length) {
      const i = next++;
      const sample = indices[i] ?? 0;
      const known = cropScale > 0 ? undefined : framedPicture(split, sample);
      if (known !== undefined) {
        use(i, known);
        continue;
      }
      const at = pictureName(pictures, sample);
      try {
        const bytes = await readPicture(pictures, sample);
        const pixels = await decodeImage(bytes, at, (width, height) =>
          cropScale > 0
            ? frameCrop(width, height, frame, cropScale, { seed, epoch, sample })
            : framePicture(width, height, frame),
        );
        if (cropScale === 0) keepPicture(split, sample, pixels);
        use(i, pixels);
      } catch (error) {
        if (onBroken === 'stop' || !(error instanceof BnnError) || error.code !== 'E_FORMAT') throw error;
        broken.set(i, { index: sample, at, message: error.message });
      }
    }
  };
  await Promise.all(Array.from({ length: DECODE_AT_ONCE }, lane));
  return broken;
}
