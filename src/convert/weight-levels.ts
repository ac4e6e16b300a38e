/** How many levels the weights of a layer have: what keeps a layer from being binary, in numbers. */

import type { Exact } from '../compiler/exact.ts';

export interface Levels {
  readonly kind: 'binary' | 'ternary' | 'multi-bit' | 'float';
  readonly bits: number;
  /** For messages: `ternary: 10.1 % of them are 0`. */
  readonly what: string;
}

const MOST_LEVELS = 256;
/** Relative; quantized weights are products of an integer and a float32 scale. */
const TOLERANCE = 1e-4;

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
    if (size === 0) zeros++;
    else if (size !== magnitude[channelOf(i)]) others++;
  }
  if (others === 0 && zeros === 0 && data.length > 0) return { kind: 'binary', bits: 1, what: 'binary' };
  if (others === 0 && zeros < data.length) {
    return { kind: 'ternary', bits: 2, what: `ternary: ${((100 * zeros) / data.length).toFixed(1)} % of them are 0` };
  }
  const levels = new Set<number>();
  for (const w of data) {
    levels.add(w);
    if (levels.size > MOST_LEVELS) return nearly(data, magnitude, channelOf);
  }
  const sorted = [...levels].sort((a, b) => a - b);
  if (data.length < 4 * sorted.length || !isUniform(sorted)) return nearly(data, magnitude, channelOf);
  return { kind: 'multi-bit', bits: Math.ceil(Math.log2(sorted.length)), what: `of ${sorted.length} levels` };
}

/** True when all differences are multiples of the smallest one. */
function isUniform(sorted: readonly number[]): boolean {
  const steps = sorted.slice(1).map((x, i) => x - (sorted[i] ?? 0));
  const least = Math.min(...steps);
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
