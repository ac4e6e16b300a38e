/** Mean and spread of measurements. */

/** NaN of no values. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The unbiased sample standard deviation; null of fewer than two values. */
export function standardDeviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

export interface Spread {
  readonly n: number;
  readonly mean: number;
  /** Null of fewer than two values. */
  readonly std: number | null;
}

/** Null of no values. */
export function spreadOf(values: readonly number[]): Spread | null {
  return values.length === 0 ? null : { n: values.length, mean: mean(values), std: standardDeviation(values) };
}
