/** Pictures of a split as pixels, for people to look at. */

import type { Split } from '../dataset.ts';
import type { Pixels } from '../pictures/encode-picture.ts';
import { subset } from '../splits/hold-out.ts';
import { createBatches } from './batches.ts';

/** Pictures of a split as a network gets them, before normalization; none for one that cannot be read. */
export async function readPixels(split: Split, indices: readonly number[]): Promise<Map<number, Pixels>> {
  const found = new Map<number, Pixels>();
  if (indices.length === 0) return found;
  const { height, width, channels } = split;
  const options = { batchSize: 16, normalize: 'none', onBroken: 'skip' } as const;
  for await (const batch of createBatches(subset(split, indices), options)) {
    const size = height * width * channels;
    for (let i = 0; i < batch.count; i++) {
      const data = Uint8Array.from(batch.images.subarray(i * size, (i + 1) * size), (share) => Math.round(255 * share));
      found.set(indices[batch.indices[i] ?? 0] ?? 0, { data, height, width, channels });
    }
  }
  return found;
}
