/**
 * KNIFE, a kernel estimate of differential entropy (Pichler et al., ICML 2022, arXiv:2202.06618): a mixture of K Gaussians
 *
 *     log p(x) = logsumexp_k [ log w_k + Σ_j log v_kj − d/2·log 2π − ½·‖(I + T_k)·diag(v_k)·(x − μ_k)‖² ]
 *
 * with w = softmax(u), inverse deviations v = exp(tanh(a)) in [1/e, e] and T strictly lower triangular. Fitted to one half of a
 * sample, H ≈ −mean log p over the other half is an upper bound of the entropy up to sampling noise. The bounds on v ask for
 * standardized data, of which no part narrower than 1/e of the whole is resolved; and no discrete variable has a differential entropy: use it before the sign, count after it.
 */

export interface Knife {
  /** μ [K][d]. */
  readonly means: readonly (readonly number[])[];
  /** a [K][d]. */
  readonly sharpness: readonly (readonly number[])[];
  /** T [K][d][d]; the diagonal and what lies above are ignored. Absent: zero. */
  readonly triangles?: readonly (readonly (readonly number[])[])[];
  /** u [K]. */
  readonly weights: readonly number[];
}

const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);
/** Entropy of a Gaussian of variance 1, nats: no density of that variance has more. */
export const GAUSSIAN_ENTROPY = 0.5 + HALF_LOG_2PI;

function logSumExp(values: readonly number[]): number {
  const peak = Math.max(...values);
  return peak + Math.log(values.reduce((sum, value) => sum + Math.exp(value - peak), 0));
}

/** log p(x), nats. */
export function knifeLogDensity({ means, sharpness, triangles, weights }: Knife, x: readonly number[]): number {
  const normalizer = logSumExp(weights);
  const terms = means.map((mean, k) => {
    const scaled = x.map((value, j) => Math.exp(Math.tanh(sharpness[k]?.[j] ?? 0)) * (value - (mean[j] ?? 0)));
    let term = (weights[k] ?? 0) - normalizer - x.length * HALF_LOG_2PI;
    for (const [j, own] of scaled.entries()) {
      let rotated = own;
      for (let i = 0; i < j; i++) rotated += (triangles?.[k]?.[j]?.[i] ?? 0) * (scaled[i] ?? 0);
      term += Math.tanh(sharpness[k]?.[j] ?? 0) - 0.5 * rotated * rotated;
    }
    return term;
  });
  return logSumExp(terms);
}

const COMPONENTS = 8;
const STEPS = 80;
const RATE = 0.05;
const BETA1 = 0.9;
const BETA2 = 0.999;

/** Fits a one-dimensional mixture by Adam on −mean log p, from means at quantiles of the sample; nothing is random. */
export function fitKnife(sample: Float64Array): Knife {
  const sorted = sample.slice().sort();
  const k = COMPONENTS;
  // Parameters: u, μ, a.
  const p = new Float64Array(3 * k);
  for (let i = 0; i < k; i++) {
    p[k + i] = sorted[Math.floor(((i + 0.5) / k) * sorted.length)] ?? 0;
    p[2 * k + i] = 0.5;
  }
  const [m, v] = [new Float64Array(3 * k), new Float64Array(3 * k)];
  for (let step = 1; step <= STEPS; step++) {
    const gradient = entropyGradient(p, sample);
    for (const [i, g] of gradient.entries()) {
      const [first, second] = [BETA1 * (m[i] ?? 0) + (1 - BETA1) * g, BETA2 * (v[i] ?? 0) + (1 - BETA2) * g * g];
      [m[i], v[i]] = [first, second];
      const corrected = first / (1 - BETA1 ** step);
      p[i] = (p[i] ?? 0) - (RATE * corrected) / (Math.sqrt(second / (1 - BETA2 ** step)) + 1e-8);
    }
  }
  const column = (from: number): number[][] => Array.from(p.subarray(from, from + k), (value) => [value]);
  return { weights: Array.from(p.subarray(0, k)), means: column(k), sharpness: column(2 * k) };
}

/**
 * Gradient of −mean log p. With responsibilities r_k = p(k | x) and y_k = v_k·(x − μ_k):
 * ∂u_k = w_k − r_k,  ∂μ_k = −r_k·v_k·y_k,  ∂a_k = −r_k·(1 − y_k²)·(1 − tanh² a_k).
 */
function entropyGradient(p: Float64Array, sample: Float64Array): Float64Array {
  const k = COMPONENTS;
  const gradient = new Float64Array(3 * k);
  const [inverse, logScale, r] = [new Float64Array(k), new Float64Array(k), new Float64Array(k)];
  const normalizer = logSumExp(Array.from(p.subarray(0, k)));
  for (let i = 0; i < k; i++) {
    const t = Math.tanh(p[2 * k + i] ?? 0);
    inverse[i] = Math.exp(t);
    logScale[i] = (p[i] ?? 0) - normalizer + t;
  }
  for (const x of sample) {
    let peak = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < k; i++) {
      const y = (inverse[i] ?? 0) * (x - (p[k + i] ?? 0));
      const term = (logScale[i] ?? 0) - 0.5 * y * y;
      r[i] = term;
      if (term > peak) peak = term;
    }
    let total = 0;
    for (let i = 0; i < k; i++) {
      const e = Math.exp((r[i] ?? 0) - peak);
      r[i] = e;
      total += e;
    }
    for (let i = 0; i < k; i++) {
      const share = (r[i] ?? 0) / total;
      const y = (inverse[i] ?? 0) * (x - (p[k + i] ?? 0));
      gradient[i] = (gradient[i] ?? 0) - share;
      gradient[k + i] = (gradient[k + i] ?? 0) - share * (inverse[i] ?? 0) * y;
      gradient[2 * k + i] = (gradient[2 * k + i] ?? 0) - share * (1 - y * y);
    }
  }
  for (let i = 0; i < k; i++) {
    const t = Math.log(inverse[i] ?? 1);
    gradient[i] = (gradient[i] ?? 0) / sample.length + Math.exp((p[i] ?? 0) - normalizer);
    gradient[k + i] = (gradient[k + i] ?? 0) / sample.length;
    gradient[2 * k + i] = ((gradient[2 * k + i] ?? 0) * (1 - t * t)) / sample.length;
  }
  return gradient;
}

export interface EntropyEstimate {
  /** Differential entropy, nats. */
  readonly entropy: number;
  /** Entropy of a Gaussian of the same variance, less `entropy`; about 0 for a Gaussian. */
  readonly gap: number;
}

/**
 * Estimates the differential entropy of a sample: fits to its even positions, measures on its odd ones.
 *
 * @param sample  independent draws in any order; some hundred are enough.
 * @returns       null when the sample is constant (its entropy is −∞) or not finite.
 */
export function estimateEntropy(sample: ArrayLike<number>): EntropyEstimate | null {
  const count = sample.length;
  const values = Float64Array.from(sample);
  const mean = values.reduce((a, b) => a + b, 0) / count;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count);
  if (!(deviation > 1e-12) || !Number.isFinite(deviation)) return null;
  const standardized = values.map((value) => (value - mean) / deviation);
  const knife = fitKnife(standardized.filter((_, i) => i % 2 === 0));
  const held = Array.from(standardized.filter((_, i) => i % 2 === 1));
  const entropy = -held.reduce((sum, value) => sum + knifeLogDensity(knife, [value]), 0) / held.length;
  return { entropy: entropy + Math.log(deviation), gap: GAUSSIAN_ENTROPY - entropy };
}
