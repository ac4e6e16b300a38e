/** The range of each channel of what a model computes from pictures. */

import { elementCount } from '../core/tensors/shape.ts';
import { createSession, type SessionOptions } from './session.ts';

export interface Pictures {
  /** f32[count][C][H][W]. */
  readonly x: Float32Array;
  readonly count: number;
}

/**
 * Runs a model of one input and one output f32[N][O]… over batches of pictures.
 *
 * @param image  channels, height and width of a picture.
 * @returns  least and greatest element of each of the O channels.
 * @throws {BnnError} as `createSession` and its `run`.
 */
export async function calibrateChannels(
  model: Uint8Array,
  image: readonly [number, number, number],
  batches: AsyncIterable<Pictures>,
  options: SessionOptions = {},
): Promise<{ readonly min: number; readonly max: number }[]> {
  const session = await createSession(model, { ...options, at: 'calibration' });
  const ranges: { min: number; max: number }[] = [];
  try {
    for await (const { x, count } of batches) {
      const { data, shape } = await session.run(x, [count, ...image]);
      const pixels = elementCount(shape.slice(2));
      const channels = shape[1] ?? 0;
      for (let i = 0; i < count * channels; i++) {
        let { min, max } = ranges[i % channels] ?? { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
        for (let p = i * pixels; p < (i + 1) * pixels; p++) {
          const value = data[p] ?? Number.NaN;
          // Unlike a comparison, keeps NaN.
          min = Math.min(min, value);
          max = Math.max(max, value);
        }
        ranges[i % channels] = { min, max };
      }
    }
  } finally {
    await session.dispose();
  }
  return ranges;
}
