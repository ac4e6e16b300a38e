/** A fixed sample of the training pictures, on which a network is measured: the same in every epoch of a run, and for every recipe. */

import { Rng } from '../../core/numbers/rng.ts';
import type { Split } from '../dataset.ts';
import { subset } from './hold-out.ts';

const STREAM = 0x73616d70;

/**
 * The `count` pictures whose index draws the smallest numbers, or all, in a random order: a split that grows by a few pictures keeps
 * nearly all of its sample.
 */
export function samplePictures(split: Split, count: number, seed: number): Split {
  const keys = Uint32Array.from({ length: split.count }, (_, index) => new Rng(seed, STREAM, index).uint32());
  const order = Array.from(keys.keys()).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0) || a - b);
  return subset(split, order.slice(0, count));
}
