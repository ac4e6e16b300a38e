/** An estimator made of nothing but its slope. */

import { signGradTable } from '../kernels/sign.ts';
import type { Estimator, EstimatorSchedule } from './estimator.ts';
import { lazily, tabulateSlope } from './slope-table.ts';

/** Cells of the integral of a slope, from 0 to its limit. */
const CELLS = 1 << 12;

export interface SlopeDescription {
  readonly name: string;
  /** s(z), even, and smooth or in straight pieces inside the limit. */
  readonly slope: (z: number) => number;
  /** Beyond ± this the slope counts as 0. */
  readonly limit: number;
  /** f(z) with f′ = s; the integral of the slope from 0 unless told. */
  readonly surrogate?: (z: number) => number;
}

/** Runs on every backend as a table of straight pieces, by the kernel `BnnSignGradTable` where there is one. */
export function slopeEstimator({ name, slope, limit, surrogate }: SlopeDescription): Estimator {
  const table = lazily(() => tabulateSlope(slope, limit));
  const integral = lazily(() => integralOf(slope, limit));
  return {
    name,
    get attributes() {
      return table();
    },
    surrogate: surrogate ?? ((z) => integral()(z)),
    factor: (z) => (Math.abs(Math.fround(z)) <= limit ? slope(z) : 0),
    gradient: (x, dy) => signGradTable({ x, dy }, table()),
  };
}

/** An estimator that is the same in every epoch. */
export function always(estimator: Estimator): EstimatorSchedule {
  return { name: estimator.name, at: () => estimator };
}

/** z ↦ ∫₀ᶻ s, by Simpson's rule in each cell and a straight line inside it. */
function integralOf(slope: (z: number) => number, limit: number): (z: number) => number {
  const width = limit / CELLS;
  const sums = new Float64Array(CELLS + 1);
  for (let k = 0; k < CELLS; k++) {
    const [start, middle, end] = [slope(k * width), slope((k + 0.5) * width), slope((k + 1) * width)];
    sums[k + 1] = (sums[k] ?? 0) + ((start + 4 * middle + end) * width) / 6;
  }
  return (z) => {
    const position = Math.min(Math.abs(z), limit) / width;
    const cell = Math.min(CELLS - 1, Math.floor(position));
    const [from = 0, to = 0] = [sums[cell], sums[cell + 1]];
    return Math.sign(z) * (from + (to - from) * (position - cell));
  };
}
