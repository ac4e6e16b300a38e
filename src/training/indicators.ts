/**
 * Where a training stands between estimating error and gradient stability, and what its binary layers carry.
 *
 * The two indicators of Wu et al. (ICCV 2023, arXiv:2308.06689), as the official code computes them: over the binary weights of all
 * layers, on the last batch of an epoch, with the surrogate f of the end of training,
 *
 *     estimating error    e = Σ_layers ‖f(w) − sign(w)‖₂
 *     gradient stability  s = Σ_layers var(|g|), the unbiased variance; larger is less stable
 *
 * Neither is free of scale: e grows with √n, and a factor on all gradients multiplies s by its square. Their companions are
 * e/√n, the coefficient of variation std(|g|)/mean(|g|) and the share of weights whose sign changed.
 */

/** One binary layer at the end of an epoch. */
export interface LayerIndicators {
  readonly layer: string;
  /** Number of binary weights n. */
  readonly weights: number;
  /** ‖f(w) − sign(w)‖₂. */
  readonly estimatingError: number;
  /** var(|g|). */
  readonly gradientVariance: number;
  /** Estimating error / √n. */
  readonly errorPerWeight: number;
  /** std(|g|) / mean(|g|). */
  readonly gradientVariation: number;
  /** Share of weights whose sign differs from that at the start of the epoch, 0 … 1. */
  readonly flipRatio: number;
  /** Null where the layer's activations are not binarized. */
  readonly activations: ActivationIndicators | null;
}

export interface ActivationIndicators {
  readonly channels: number;
  /** Entropy of the sign, bits, mean over the channels: 1 when every channel is +1 half of the time. */
  readonly signEntropy: number;
  /** Channels whose sign carries less than `DEAD_BITS`. */
  readonly deadChannels: number;
  /** Differential entropy before the sign, nats, mean over sampled channels (KNIFE); null when none of them varies. */
  readonly preSignEntropy: number | null;
  /** How far that lies below a Gaussian of the same variance, nats. */
  readonly preSignGap: number | null;
}

/** Of a whole network at the end of an epoch. */
export interface EpochIndicators {
  /** The paper's e: the sum over the layers. */
  readonly estimatingError: number;
  /** The paper's s: the sum over the layers. */
  readonly gradientVariance: number;
  /** √(Σ e² / Σ n). */
  readonly errorPerWeight: number;
  /** Mean over the layers. */
  readonly gradientVariation: number;
  /** Over all binary weights. */
  readonly flipRatio: number;
  /** Mean over the layers with binary activations; null without any. */
  readonly signEntropy: number | null;
  /** Sum over the layers. */
  readonly deadChannels: number;
  readonly preSignGap: number | null;
  readonly layers: readonly LayerIndicators[];
}

/** Below this many bits the sign of a channel is called dead. */
export const DEAD_BITS = 0.05;

/** ‖f(w) − sign(w)‖₂ in float64, with sign(0) = +1. */
export function estimatingError(weights: ArrayLike<number>, surrogate: (w: number) => number): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    const w = weights[i] ?? Number.NaN;
    const difference = surrogate(w) - (w >= 0 ? 1 : -1);
    sum += difference * difference;
  }
  return Math.sqrt(sum);
}

/** Mean and unbiased variance of |g|, in two passes, so that a small spread around a large mean is not lost. */
export function magnitudeStatistics(gradient: ArrayLike<number>): { readonly mean: number; readonly variance: number } {
  const count = gradient.length;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.abs(gradient[i] ?? Number.NaN);
  const mean = sum / count;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (Math.abs(gradient[i] ?? Number.NaN) - mean) ** 2;
  return { mean, variance: count > 1 ? squares / (count - 1) : 0 };
}

/** How many bits differ between two rows of packed signs. */
export function countFlips(before: Uint8Array, after: Uint8Array): number {
  let flips = 0;
  for (let i = 0; i < after.length; i++) {
    for (let bits = (before[i] ?? 0) ^ (after[i] ?? 0); bits !== 0; bits &= bits - 1) flips++;
  }
  return flips;
}

/** Entropy in bits of a coin that shows one side with probability p. */
export function binaryEntropy(p: number): number {
  const term = (q: number): number => (q <= 0 ? 0 : -q * Math.log2(q));
  return term(p) + term(1 - p);
}

/**
 * Entropy of the signs of each channel.
 *
 * @param z  [rows][channels], values before the sign.
 */
export function signEntropies(z: ArrayLike<number>, channels: number): Float64Array {
  const positive = new Float64Array(channels);
  for (let i = 0; i < z.length; ) {
    for (let c = 0; c < channels; c++, i++) if ((z[i] ?? Number.NaN) >= 0) positive[c] = (positive[c] ?? 0) + 1;
  }
  const rows = z.length / channels;
  return positive.map((count) => binaryEntropy(count / rows));
}

/** Totals of the layers. */
export function summarizeLayers(layers: readonly LayerIndicators[]): EpochIndicators {
  const sum = (of: (layer: LayerIndicators) => number): number => layers.reduce((total, layer) => total + of(layer), 0);
  const weights = sum((layer) => layer.weights);
  const activations = layers.flatMap((layer) => (layer.activations === null ? [] : [layer.activations]));
  return {
    estimatingError: sum((layer) => layer.estimatingError),
    gradientVariance: sum((layer) => layer.gradientVariance),
    errorPerWeight: Math.sqrt(sum((layer) => layer.estimatingError ** 2) / weights),
    gradientVariation: sum((layer) => layer.gradientVariation) / layers.length,
    flipRatio: sum((layer) => layer.flipRatio * layer.weights) / weights,
    signEntropy: meanOf(activations.map(({ signEntropy }) => signEntropy)),
    deadChannels: activations.reduce((total, { deadChannels }) => total + deadChannels, 0),
    preSignGap: meanOf(activations.flatMap(({ preSignGap }) => (preSignGap === null ? [] : [preSignGap]))),
    layers,
  };
}

/** Null of nothing. */
export function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;
}
