/**
 * Where a training stands between estimating error and gradient stability, and what its binary layers carry.
 *
 * The two indicators of Wu et al. (ICCV 2023, arXiv:2308.06689): over the binary weights of all layers, with the surrogate f of the
 * end of training,
 *
 *     estimating error    e = Σ_layers ‖f(w) − sign(w)‖₂
 *     gradient stability  s = Σ_layers var(|g|), the unbiased variance; larger is less stable
 *
 * The official code takes g from the last batch of an epoch, whatever its size and whatever it holds. Here all is measured after the
 * last step, on a fixed sample of training pictures without augmentation (`samplePictures` of the recipe) in full batches of the
 * recipe's size, over which s is the mean.
 *
 * Neither is free of scale: e grows with √n, and a factor on all gradients multiplies s by its square. Their companions are
 * e/√n, the coefficient of variation std(|g|)/mean(|g|) and how signs change (`sign-changes.ts`).
 */

import type { FlipIndicators } from './sign-changes.ts';

/** One binary layer at the end of an epoch. */
export interface LayerIndicators extends FlipIndicators {
  readonly layer: string;
  /** Number of binary weights n. */
  readonly weights: number;
  /** ‖f(w) − sign(w)‖₂. */
  readonly estimatingError: number;
  /** var(|g|), mean over the batches of the sample. */
  readonly gradientVariance: number;
  /** Estimating error / √n. */
  readonly errorPerWeight: number;
  /** std(|g|) / mean(|g|), mean over the batches. */
  readonly gradientVariation: number;
  /** Null where the layer's activations are not binarized. */
  readonly activations: ActivationIndicators | null;
}

export interface ActivationIndicators {
  readonly channels: number;
  /** Entropy of the sign, bits, mean over the channels: 1 when every channel is +1 half of the time. */
  readonly signEntropy: number;
  /** Channels whose sign carries less than `DEAD_BITS`. */
  readonly deadChannels: number;
  /**
   * Mutual information of a channel's sign and the label, bits, mean over the channels, by counting. Of signs that tell nothing it is about
   * (classes − 1)/(2 ln 2 · values) bits where all values are independent, and up to as many times that as there are values of one picture where
   * these are alike: with 10 classes and 32 values of each of 1,024 pictures 0.0002 to 0.005.
   */
  readonly labelInformation: number;
  /** Channels whose values before the sign hardly repeat; only they have a density. None behind sums of ±1 and a ReLU. */
  readonly continuousChannels: number;
  /** Differential entropy before the sign, nats, mean over the continuous channels (`spacing-entropy.ts`); null without any. */
  readonly preSignEntropy: number | null;
  /** How far that lies below a Gaussian of the same variance, nats. */
  readonly preSignGap: number | null;
}

/** Of a whole network at the end of an epoch; `FlipIndicators` are over all its binary weights. */
export interface EpochIndicators extends FlipIndicators {
  /** The paper's e: the sum over the layers. */
  readonly estimatingError: number;
  /** The paper's s: the sum over the layers. */
  readonly gradientVariance: number;
  /** √(Σ e² / Σ n). */
  readonly errorPerWeight: number;
  /** Mean over the layers. */
  readonly gradientVariation: number;
  /** Mean over the layers with binary activations; null without any. */
  readonly signEntropy: number | null;
  /** Likewise. */
  readonly labelInformation: number | null;
  /** Sum over the layers. */
  readonly deadChannels: number;
  readonly preSignGap: number | null;
  readonly layers: readonly LayerIndicators[];
}

/** Those of the whole network, in the order of tables, and what of the epochs stands for a run. */
export const NETWORK_INDICATORS = {
  estimatingError: 'mean',
  gradientVariance: 'sum',
  errorPerWeight: 'mean',
  gradientVariation: 'mean',
  flipRatio: 'mean',
  stepFlipRate: 'mean',
  oscillation: 'mean',
  neverFlipped: 'last',
  firstSignCorrelation: 'last',
  signEntropy: 'last',
  labelInformation: 'last',
  deadChannels: 'last',
  preSignGap: 'last',
} as const satisfies Partial<Record<keyof EpochIndicators, 'mean' | 'sum' | 'last'>>;
export type NetworkIndicator = keyof typeof NETWORK_INDICATORS;
export const INDICATOR_NAMES = Object.keys(NETWORK_INDICATORS) as NetworkIndicator[];

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

/** Entropy in bits of a coin that shows one side with probability p. */
export function binaryEntropy(p: number): number {
  const term = (q: number): number => (q <= 0 ? 0 : -q * Math.log2(q));
  return term(p) + term(1 - p);
}

/** How often each channel is +1, by label. */
export class SignCounts {
  readonly #channels: number;
  /** [channels][labels]. */
  readonly #positive = new Map<number, Float64Array>();
  readonly #rows = new Map<number, number>();

  constructor(channels: number) {
    this.#channels = channels;
  }

  /** @param z  the values of all channels at one place of a picture with this label, before the sign, from `begin` on. */
  add(z: ArrayLike<number>, begin: number, label: number): void {
    let positive = this.#positive.get(label);
    if (positive === undefined) {
      positive = new Float64Array(this.#channels);
      this.#positive.set(label, positive);
    }
    for (let c = 0; c < this.#channels; c++)
      if ((z[begin + c] ?? Number.NaN) >= 0) positive[c] = (positive[c] ?? 0) + 1;
    this.#rows.set(label, (this.#rows.get(label) ?? 0) + 1);
  }

  /** Entropy of the sign of each channel, bits. */
  entropies(): number[] {
    return this.#perChannel((positive, rows) => binaryEntropy(sumOf(positive) / sumOf(rows)));
  }

  /** Mutual information of the sign of each channel and the label, bits: H(sign) − H(sign | label). */
  labelInformation(): number[] {
    return this.#perChannel((positive, rows) => {
      const total = sumOf(rows);
      const conditional = positive.reduce((sum, count, i) => {
        const share = rows[i] ?? 0;
        return sum + (share / total) * binaryEntropy(count / share);
      }, 0);
      return Math.max(0, binaryEntropy(sumOf(positive) / total) - conditional);
    });
  }

  /** @param of  gets, by label, how often the channel was +1 and how often it was counted. */
  #perChannel(of: (positive: readonly number[], rows: readonly number[]) => number): number[] {
    const rows = [...this.#rows.values()];
    const positive = [...this.#positive.values()];
    return Array.from({ length: this.#channels }, (_, c) =>
      of(
        positive.map((counts) => counts[c] ?? 0),
        rows,
      ),
    );
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Totals of the layers. */
export function summarizeLayers(layers: readonly LayerIndicators[]): EpochIndicators {
  const sum = (of: (layer: LayerIndicators) => number): number => layers.reduce((total, layer) => total + of(layer), 0);
  const weights = sum((layer) => layer.weights);
  const activations = layers.flatMap((layer) => (layer.activations === null ? [] : [layer.activations]));
  const overWeights = (key: keyof FlipIndicators): number => sum((layer) => layer[key] * layer.weights) / weights;
  const changes = sum((layer) => layer.stepFlipRate * layer.weights);
  return {
    estimatingError: sum((layer) => layer.estimatingError),
    gradientVariance: sum((layer) => layer.gradientVariance),
    errorPerWeight: Math.sqrt(sum((layer) => layer.estimatingError ** 2) / weights),
    gradientVariation: sum((layer) => layer.gradientVariation) / layers.length,
    flipRatio: overWeights('flipRatio'),
    stepFlipRate: overWeights('stepFlipRate'),
    // A share of the changes, so weighed by them.
    oscillation: changes === 0 ? 0 : sum((layer) => layer.oscillation * layer.stepFlipRate * layer.weights) / changes,
    neverFlipped: overWeights('neverFlipped'),
    firstSignCorrelation: overWeights('firstSignCorrelation'),
    signEntropy: meanOf(activations.map(({ signEntropy }) => signEntropy)),
    labelInformation: meanOf(activations.map(({ labelInformation }) => labelInformation)),
    deadChannels: activations.reduce((total, { deadChannels }) => total + deadChannels, 0),
    preSignGap: meanOf(activations.flatMap(({ preSignGap }) => (preSignGap === null ? [] : [preSignGap]))),
    layers,
  };
}

/** Null of nothing. */
export function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;
}
