/** How the results of two models for the same inputs differ, input by input. */

import { LOGITS_TOLERANCE } from '../core/numbers/tolerance.ts';
import { type Tensor, toNumbers } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { argMax } from './classification.ts';

export interface RowDifference {
  /** Largest |a − b| of the numbers; infinite where only one of them is a number. */
  readonly largest: number;
  /** Another arg-max of a float output; of one number, another side of `threshold` or a difference of more than `tolerance`. */
  readonly isOtherDecision: boolean;
  /** Another integer in an output of integers. */
  readonly isOtherInteger: boolean;
}

/**
 * Share of inputs that may differ by more than rounding. Where a folded normalization puts a value within rounding distance of 0,
 * its sign may differ, and with it the layers behind: the larger the pictures and the deeper the network, the more often. A wrong
 * fold, on the other hand, changes every input.
 */
export const ALLOWED_SHARE = 0.25;

/** What rounding explains, absolute. @param largest  float of all results. */
export function toleranceFor(largest: number): number {
  return LOGITS_TOLERANCE * Math.max(1, largest);
}

export function isFloat({ dtype }: Tensor): boolean {
  return /float/.test(dtype);
}

/** How outputs of one float, which have no arg-max, are compared. */
export interface OneNumber {
  /** Infinite unless told. */
  readonly tolerance?: number;
  readonly threshold?: number;
}

/**
 * Compares all outputs of two models for a batch, in their order.
 *
 * @param rows  inputs in the batch; an output whose size is no multiple of it counts as one of the first input.
 * @throws {BnnError} E_SHAPE when an output is missing or has another number of elements.
 */
export function compareRows(
  a: ReadonlyMap<string, Tensor>,
  b: ReadonlyMap<string, Tensor>,
  rows: number,
  { tolerance = Infinity, threshold }: OneNumber,
): RowDifference[] {
  const largest = new Array<number>(rows).fill(0);
  const decisions = new Set<number>();
  const integers = new Set<number>();
  const others = [...b.values()];
  for (const [i, [name, expected]] of [...a].entries()) {
    const found = others[i];
    if (found?.data.length !== expected.data.length) {
      throw new BnnError(
        'E_SHAPE',
        `output ${name}: one form gives ${expected.data.length} numbers, the other ${found?.data.length ?? 'none'}`,
      );
    }
    const isOfFloats = isFloat(expected);
    const [x, y] = [toNumbers(expected), toNumbers(found)];
    const isRows = expected.shape[0] === rows || (x.length > 0 && x.length % rows === 0);
    const width = isRows ? x.length / rows : x.length;
    for (let row = 0; row * width < x.length; row++) {
      const difference = differenceIn(x, y, row * width, width);
      largest[row] = Math.max(largest[row] ?? 0, difference);
      if (!isOfFloats && difference > 0) integers.add(row);
      if (!isOfFloats) continue;
      const [p = 0, q = 0] = [x[row], y[row]];
      const isOther = (): boolean =>
        difference > tolerance ||
        Number.isNaN(p) !== Number.isNaN(q) ||
        (threshold !== undefined && p >= threshold !== q >= threshold);
      if (width === 1 ? isOther() : isOtherArgMax(x, y, row * width, width)) decisions.add(row);
    }
  }
  return largest.map((most, row) => ({
    largest: most,
    isOtherDecision: decisions.has(row),
    isOtherInteger: integers.has(row),
  }));
}

function isOtherArgMax(x: readonly number[], y: readonly number[], offset: number, width: number): boolean {
  return argMax(x, offset, width) !== argMax(y, offset, width);
}

function differenceIn(x: readonly number[], y: readonly number[], offset: number, width: number): number {
  let largest = 0;
  for (let i = offset; i < offset + width; i++) largest = Math.max(largest, differenceOf(x[i], y[i]));
  return largest;
}

function differenceOf(a = Number.NaN, b = Number.NaN): number {
  if (Object.is(a, b) || a === b) return 0;
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Infinity : difference;
}
