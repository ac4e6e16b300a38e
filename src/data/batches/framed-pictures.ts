/**
 * Pictures that were decoded and framed once, for further epochs: they are the same bytes each time, unless training crops at random.
 * On shared memory, of which the system gives only what is written.
 */

import type { FileSplit } from '../dataset.ts';
import { createSharedBytes } from '../shared-memory.ts';

/** Beyond, pictures are decoded in every epoch: some would gain, at a memory that nobody asked for. */
const MOST_BYTES = 2 ** 28;

/** The split with room for its framed pictures, where they are few enough. */
export function keepFramed(split: FileSplit): FileSplit {
  const bytes = split.count * split.height * split.width * 3;
  if (bytes > MOST_BYTES) return split;
  return { ...split, framed: { pixels: createSharedBytes(bytes), ready: createSharedBytes(split.count) } };
}

/** Undefined where it was not framed yet. */
export function framedPicture({ framed, height, width }: FileSplit, sample: number): Uint8Array | undefined {
  if (framed === undefined || Atomics.load(framed.ready, sample) === 0) return undefined;
  const size = height * width * 3;
  return framed.pixels.subarray(sample * size, (sample + 1) * size);
}

/** Two threads may keep the same picture, with the same bytes. */
export function keepPicture({ framed }: FileSplit, sample: number, pixels: Uint8Array): void {
  if (framed === undefined) return;
  framed.pixels.set(pixels, sample * pixels.length);
  Atomics.store(framed.ready, sample, 1);
}
