/** Slopes as tables of straight pieces, for backends that evaluate such a table faster than the formula. */

import type { TableSlope } from '../kernels/sign.ts';

/** Largest distance from the formula, relative to the largest slope; half of what float32 kernels may differ. */
const TOLERANCE = 1e-6;
const MAX_PIECES = 1 << 16;

/**
 * Tabulates an even slope as finely as it needs.
 *
 * @param factor  s(z), smooth inside the limit.
 * @param limit   beyond which s is 0, or less than 1e-9 of its largest value.
 */
export function tabulateSlope(factor: (z: number) => number, limit: number): TableSlope {
  let pieces = 64;
  while (pieces < MAX_PIECES && !isFine(factor, limit, pieces)) pieces *= 2;
  const table = new Float32Array(2 * pieces);
  for (let k = 0; k < pieces; k++) {
    const start = factor((limit * k) / pieces);
    table[2 * k] = start;
    table[2 * k + 1] = factor((limit * (k + 1)) / pieces) - start;
  }
  return { estimator: 'table', pieces: table, limit };
}

/** Whether straight pieces meet the slope in their middles, where a smooth function lies farthest from them. */
function isFine(factor: (z: number) => number, limit: number, pieces: number): boolean {
  let [worst, peak] = [0, 0];
  const width = limit / pieces;
  let start = factor(0);
  for (let k = 0; k < pieces; k++) {
    const end = factor((k + 1) * width);
    worst = Math.max(worst, Math.abs((start + end) / 2 - factor((k + 0.5) * width)));
    peak = Math.max(peak, Math.abs(end), Math.abs(start));
    start = end;
  }
  return worst <= TOLERANCE * peak;
}

/** Makes attributes when they are first asked for, and keeps them. */
export function lazily<T>(create: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: create() };
    return made.value;
  };
}
