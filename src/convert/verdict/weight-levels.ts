/** How many levels the weights of a layer have: what keeps a layer from being binary, in numbers. */

import type { Exact } from '../../rewriting/exact/exact.ts';

export interface Levels {
  readonly kind: 'binary' | 'ternary' | 'multi-bit' | 'float';
  readonly bits: number;
  /** For messages: `ternary: 10.1 % of them are 0`. */
  readonly what: string;
}

const MOST_LEVELS = 256;
/** Relative; quantized weights are products of an integer and a float32 scale. */
const TOLERANCE = 1e-4;
/** Relative to the largest weight: closer ones are one level and rounding, as a straight-through detour leaves it. */
const ROUNDING = 1e-5;

/** @param outputsLast  true for [K, N] matrices. */
export function levelsOfWeights({ data, shape }: Exact, outputsLast: boolean): Levels {
  const outputs = (outputsLast ? shape.at(-1) : shape[0]) ?? 1;
  const perOutput = data.length / Math.max(1, outputs);
  const magnitude = new Float64Array(outputs);
  const channelOf = (i: number) => (outputsLast ? i % outputs : Math.floor(i / perOutput));
  for (let i = 0; i < data.length; i++) {
    const o = channelOf(i);
    magnitude[o] = Math.max(magnitude[o] ?? 0, Math.abs(data[i] ?? 0));
  }
  let zeros = 0;
  let others = 0;
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(data[i] ?? 0);
    const largest = magnitude[channelOf(i)] ?? 0;
    if (size === 0) zeros++;
    else if (largest - size > ROUNDING * largest) others++;
  }
  if (perOutput <= 1) return { kind: 'float', bits: 32, what: 'floats, one per output' };
  if (others === 0 && zeros === 0 && data.length > 0) return { kind: 'binary', bits: 1, what: 'binary' };
  if (zeros === data.length) return { kind: 'float', bits: 32, what: 'all 0' };
  if (others === 0) {
    return { kind: 'ternary', bits: 2, what: `ternary: ${((100 * zeros) / data.length).toFixed(1)} % of them are 0` };
  }
  const sorted = distinct(data, ROUNDING * magnitude.reduce((most, size) => Math.max(most, size), 0));
  if (sorted === null || data.length < 4 * sorted.length || !isUniform(sorted)) {
    return nearly(data, magnitude, channelOf);
  }
  return { kind: 'multi-bit', bits: Math.ceil(Math.log2(sorted.length)), what: `of ${sorted.length} levels` };
}

/** The numbers that differ by more than `least`, ascending; null when there are too many. */
function distinct(data: Float64Array, least: number): readonly number[] | null {
  const byBucket = new Map<number, number>();
  for (const w of data) {
    const bucket = Math.round(w / least);
    if (!byBucket.has(bucket)) byBucket.set(bucket, w);
    // Rounding spreads a level over two buckets.
    if (byBucket.size > 2 * MOST_LEVELS) return null;
  }
  const levels: number[] = [];
  for (const w of [...byBucket.values()].sort((a, b) => a - b)) {
    if (!(w - (levels.at(-1) ?? -Infinity) <= 2 * least)) levels.push(w);
  }
  return levels.length > MOST_LEVELS ? null : levels;
}

/** True when all differences are multiples of the smallest one, and not too large ones. */
function isUniform(sorted: readonly number[]): boolean {
  const steps = sorted.slice(1).map((x, i) => x - (sorted[i] ?? 0));
  const least = Math.min(...steps);
  const span = (sorted.at(-1) ?? 0) - (sorted[0] ?? 0);
  if (span / least > MOST_LEVELS) return false;
  return steps.every((step) => Math.abs(step / least - Math.round(step / least)) < TOLERANCE * (step / least));
}

/** Floats; says so when they are almost of one magnitude per output. */
function nearly(data: Float64Array, magnitude: Float64Array, channelOf: (i: number) => number): Levels {
  let worst = 0;
  for (let i = 0; i < data.length; i++) {
    const largest = magnitude[channelOf(i)] ?? 0;
    worst = Math.max(worst, largest === 0 ? 0 : 1 - Math.abs(data[i] ?? 0) / largest);
  }
  const what =
    worst < 0.01
      ? `almost binary: magnitudes within an output differ by up to ${(100 * worst).toPrecision(2)} %`
      : 'floats';
  return { kind: 'float', bits: 32, what };
}
