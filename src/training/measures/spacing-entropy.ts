/**
 * Differential entropy of a sample from the spacings of its order statistics (Vasicek 1976), with m = √n rounded:
 *
 *     H = 1/n · Σ_i log( n/2m · (x₍ᵢ₊ₘ₎ − x₍ᵢ₋ₘ₎) ),  x₍ᵢ₎ = x₍₁₎ for i < 1 and x₍ₙ₎ for i > n
 *
 * less its bias for a uniform variable, which is known exactly (Wieczorkowski and Grzegorzewski 1999).
 */

const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);
/** Entropy of a Gaussian of variance 1, nats: no density of that variance has more. */
export const GAUSSIAN_ENTROPY = 0.5 + HALF_LOG_2PI;
const EULER = 0.5772156649015329;
const FEWEST = 8;
/** Of a continuous variable in float32, hardly one pair in a thousand values is equal. */
const EQUAL_PER_VALUE = 1e-3;

export interface EntropyEstimate {
  /** Differential entropy, nats. */
  readonly entropy: number;
  /** Entropy of a Gaussian of the same variance, less `entropy`; about 0 for a Gaussian. */
  readonly gap: number;
}

/**
 * @param sample  independent draws in any order; some hundred are enough.
 * @returns       null where values repeat (a variable with atoms, or on a lattice, has no density), are not finite or fewer than 8.
 */
export function spacingEntropy(sample: ArrayLike<number>): EntropyEstimate | null {
  const n = sample.length;
  const sorted = Float64Array.from(sample).sort();
  if (n < FEWEST || !Number.isFinite((sorted[0] ?? 0) + (sorted[n - 1] ?? 0)) || repeats(sorted)) return null;
  const m = Math.round(Math.sqrt(n));
  const at = (i: number): number => sorted[Math.min(n - 1, Math.max(0, i))] ?? Number.NaN;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.log((n / (2 * m)) * (at(i + m) - at(i - m)));
  const entropy = sum / n - uniformBias(n, m);
  return { entropy, gap: GAUSSIAN_ENTROPY + 0.5 * Math.log(variance(sorted)) - entropy };
}

function repeats(sorted: Float64Array): boolean {
  let equal = 0;
  for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) equal++;
  return equal > EQUAL_PER_VALUE * sorted.length;
}

/** Expectation of the sum over i for the uniform variable on [0, 1], whose entropy is 0: the gap of k spacings is Beta(k, n + 1 − k). */
function uniformBias(n: number, m: number): number {
  let edges = 0;
  for (let k = m; k < 2 * m; k++) edges += digamma(k);
  return Math.log(n / (2 * m)) - digamma(n + 1) + (1 - (2 * m) / n) * digamma(2 * m) + (2 / n) * edges;
}

/** ψ(k) of a whole number k ≥ 1. */
function digamma(k: number): number {
  let sum = -EULER;
  for (let j = 1; j < k; j++) sum += 1 / j;
  return sum;
}

function variance(values: Float64Array): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
}
