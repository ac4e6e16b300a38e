/** Pictures as a tensor: floats as they are, bytes normalised on the device. */

import * as tf from '@tensorflow/tfjs-core';
import type { InputData, InputTap } from '../../backends/step-recorder.ts';
import type { Batch } from '../../data/batches/batch-maker.ts';
import { type PictureBytes, partOfBytes } from '../../data/batches/picture-bytes.ts';
import { run } from '../../kernels/run.ts';
import type { ImageSize } from './mix-batch.ts';

/** f32[count][height][width][channels], or the same as bytes. */
export type PictureData = Float32Array | PictureBytes;

export function picturesOf({ images, bytes }: Pick<Batch, 'images' | 'bytes'>): PictureData {
  return bytes ?? images;
}

/** Pictures `from` … `from + count - 1`; of floats no copy. */
export function partOfPictures(pictures: PictureData, size: ImageSize, from: number, count: number): PictureData {
  const pixels = size.height * size.width * size.channels;
  const [begin, end] = [from * pixels, (from + count) * pixels];
  return pictures instanceof Float32Array ? pictures.subarray(begin, end) : partOfBytes(pictures, begin, end);
}

/** What is uploaded of pictures. */
export function uploadOf(pictures: PictureData): InputData {
  return pictures instanceof Float32Array ? pictures : pictures.words;
}

/**
 * f32[count, height, width, channels], the caller's.
 *
 * @param input  is shown the tensor that has the data, see `RecordedWork`.
 */
export function uploadPictures(
  pictures: PictureData,
  count: number,
  { height, width, channels }: ImageSize,
  input: InputTap = (t) => t,
): tf.Tensor4D {
  const shape = [count, height, width, channels] as const;
  if (pictures instanceof Float32Array) return input(tf.tensor4d(pictures, [...shape]));
  return tf.tidy(() => {
    const words = input(tf.tensor1d(pictures.words, 'int32'));
    const table = tf.tensor1d(pictures.table);
    return run('BnnNormalizeBytes', { words, table }, { shape }) as tf.Tensor4D;
  });
}
