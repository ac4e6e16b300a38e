/** Measures the indicators of a program at the end of an epoch (see `indicators.ts`). */

import * as tf from '@tensorflow/tfjs-core';
import { packedBytes, packSigns } from '../core/bits.ts';
import { Rng } from '../core/rng.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { BnnError } from '../errors.ts';
import {
  type ActivationIndicators,
  countFlips,
  DEAD_BITS,
  type EpochIndicators,
  estimatingError,
  magnitudeStatistics,
  meanOf,
  signEntropies,
  summarizeLayers,
} from './indicators.ts';
import { type EntropyEstimate, estimateEntropy } from './knife.ts';
import { layerOf, type ParameterInfo } from './parameters.ts';
import type { Program } from './program.ts';

/** Per layer, so that the cost does not grow with the network's width. */
const ENTROPY_CHANNELS = 2;
const ENTROPY_SAMPLES = 512;
const ENTROPY_STREAM = 0x6b6e6966;
const SIGNS_SUFFIX = '.epoch_signs';

export interface ProbeOptions {
  /** The function whose distance from sign is the estimating error. */
  readonly surrogate: (w: number) => number;
  readonly seed: number;
}

/**
 * Call `begin` at the start of each epoch; in its last batch pass `observe` to the forward pass and the gradients to `addGradients`;
 * then, after the optimizer's step, call `finish`.
 */
export class IndicatorProbe {
  readonly #program: Program;
  readonly #options: ProbeOptions;
  /** Packed signs at the start of the epoch, in the order of the program. */
  readonly #signs = new Map<string, Uint8Array>();
  readonly #observed = new Map<string, tf.Tensor>();
  readonly #gradients = new Map<string, { readonly mean: number; readonly variance: number }>();

  constructor(program: Program, options: ProbeOptions) {
    this.#program = program;
    this.#options = options;
  }

  /** Remembers the signs from which flips are counted. */
  async begin(): Promise<void> {
    for (const { name } of this.#weights()) this.#signs.set(name, await this.#signsOf(name));
  }

  /** Keeps what a layer binarizes, until `finish`. */
  readonly observe = (layer: string, x: tf.Tensor): void => {
    this.#observed.get(layer)?.dispose();
    this.#observed.set(layer, tf.keep(tf.clone(x)));
  };

  /** Reads the gradients of the binary weights; they stay the caller's. */
  async addGradients(gradients: ReadonlyMap<string, tf.Tensor>): Promise<void> {
    for (const { name } of this.#weights()) {
      const gradient = gradients.get(name);
      if (gradient !== undefined) this.#gradients.set(name, magnitudeStatistics(await gradient.data()));
    }
  }

  /** Null for a network without binary weights. */
  async finish(epoch: number): Promise<EpochIndicators | null> {
    const layers = [];
    for (const { name } of this.#weights()) {
      const weights = await this.#program.parameter(name).data();
      const { mean, variance } = this.#gradients.get(name) ?? { mean: Number.NaN, variance: Number.NaN };
      const error = estimatingError(weights, this.#options.surrogate);
      const before = this.#signs.get(name);
      const flips = before === undefined ? Number.NaN : countFlips(before, packSigns(weights, weights.length));
      const layer = layerOf(name);
      const seen = this.#observed.get(layer);
      layers.push({
        layer,
        weights: weights.length,
        estimatingError: error,
        gradientVariance: variance,
        errorPerWeight: error / Math.sqrt(weights.length),
        gradientVariation: mean === 0 ? 0 : Math.sqrt(variance) / mean,
        flipRatio: flips / weights.length,
        activations: seen === undefined ? null : await this.#measureActivations(seen, epoch, layers.length),
      });
    }
    this.dispose();
    return layers.length === 0 ? null : summarizeLayers(layers);
  }

  /** The state inside an epoch, as named tensors. */
  save(): Map<string, Tensor> {
    return new Map(
      Array.from(this.#signs, ([name, signs]) => [name + SIGNS_SUFFIX, tensor('uint8', [signs.length], signs)]),
    );
  }

  /** @throws {BnnError} E_FORMAT when a tensor is missing or has another size. */
  restore(saved: ReadonlyMap<string, Tensor>, at?: string): void {
    for (const { name, shape } of this.#weights()) {
      const signs = saved.get(name + SIGNS_SUFFIX);
      const bytes = packedBytes(shape.reduce((a, b) => a * b, 1));
      if (signs?.dtype !== 'uint8' || signs.data.length !== bytes) {
        throw new BnnError('E_FORMAT', `the training state lacks "${name}${SIGNS_SUFFIX}" of ${bytes} bytes`, { at });
      }
      this.#signs.set(name, Uint8Array.from(signs.data as Uint8Array));
    }
  }

  dispose(): void {
    for (const t of this.#observed.values()) t.dispose();
    this.#observed.clear();
  }

  *#weights(): Generator<ParameterInfo> {
    for (const info of this.#program.parameters.values()) if (info.role === 'binary-weight') yield info;
  }

  async #signsOf(name: string): Promise<Uint8Array> {
    const weights = await this.#program.parameter(name).data();
    return packSigns(weights, weights.length);
  }

  async #measureActivations(seen: tf.Tensor, epoch: number, layer: number): Promise<ActivationIndicators> {
    const z = await seen.data();
    const channels = seen.shape.at(-1) ?? 1;
    const entropies = Array.from(signEntropies(z, channels));
    const rng = new Rng(this.#options.seed, ENTROPY_STREAM, epoch, layer);
    const rows = z.length / channels;
    const estimates: EntropyEstimate[] = [];
    for (let n = Math.min(ENTROPY_CHANNELS, channels); n > 0; n--) {
      const channel = rng.below(channels);
      const sample = Float64Array.from(
        { length: ENTROPY_SAMPLES },
        () => z[rng.below(rows) * channels + channel] ?? Number.NaN,
      );
      const estimate = estimateEntropy(sample);
      if (estimate !== null) estimates.push(estimate);
    }
    return {
      channels,
      signEntropy: meanOf(entropies) ?? 0,
      deadChannels: entropies.filter((bits) => bits < DEAD_BITS).length,
      preSignEntropy: meanOf(estimates.map(({ entropy }) => entropy)),
      preSignGap: meanOf(estimates.map(({ gap }) => gap)),
    };
  }
}
