/** Normalization of pictures that come as bytes. */

import * as tf from '@tensorflow/tfjs-core';

export interface ByteAttributes {
  /** Of the pictures: [count, height, width, channels]. */
  readonly shape: readonly [number, number, number, number];
}

/**
 * `BnnNormalizeBytes`: table[c][byte] of each byte. Four bytes are a word of `words`, int32, the first one lowest; `table` is
 * f32[channels][256]. The composition computes on the host.
 */
export function normalizeBytes(
  { words, table }: { readonly words: tf.Tensor; readonly table: tf.Tensor },
  { shape }: ByteAttributes,
): tf.Tensor {
  const { buffer, byteOffset } = words.dataSync<'int32'>();
  const bytes = new Uint8Array(buffer, byteOffset, tf.util.sizeFromShape([...shape]));
  const values = table.dataSync<'float32'>();
  const channels = shape[3];
  const images = Float32Array.from(bytes, (byte, i) => values[(i % channels) * 256 + byte] ?? 0);
  return tf.tensor4d(images, [...shape]);
}
