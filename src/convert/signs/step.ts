/**
 * Functions of one number that take one value below a threshold, one at it and one above: what comparisons and signs compute, and
 * what stays of them behind any further element-wise operators.
 */

import type { Dtype } from '../../core/tensors/tensor.ts';

export interface Step {
  readonly threshold: number;
  readonly below: number;
  readonly at: number;
  readonly above: number;
}

/** A function of one number whose result has the dtype of the operator's output. */
export type Scalar = (x: number) => number;

/** Rounds a result to a dtype as the operators do. */
export function rounderOf(dtype: Dtype | null): Scalar {
  switch (dtype) {
    case 'float64':
      return (x) => x;
    case 'bool':
      return (x) => (x === 0 ? 0 : 1);
    case 'float32':
      return Math.fround;
    default:
      return Math.trunc;
  }
}

export function mapStep({ threshold, below, at, above }: Step, f: Scalar): Step {
  return { threshold, below: f(below), at: f(at), above: f(above) };
}

/** Combines two functions of the same number; null when their thresholds differ. */
export function combineSteps(a: Step, b: Step, f: (a: number, b: number) => number): Step | null {
  if (a.threshold !== b.threshold) return null;
  return { threshold: a.threshold, below: f(a.below, b.below), at: f(a.at, b.at), above: f(a.above, b.above) };
}
