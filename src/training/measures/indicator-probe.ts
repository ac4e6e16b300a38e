/** Measures the indicators of a program at the end of an epoch (see `indicators.ts`). */

import * as tf from '@tensorflow/tfjs-core';
import { Rng } from '../../core/numbers/rng.ts';
import { mean } from '../../core/numbers/statistics.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import type { Batch } from '../../data/batches/batch-maker.ts';
import type { Batcher } from '../../data/batches/batches.ts';
import type { Estimator } from '../../estimators/estimator.ts';
import { layerOf } from '../program/parameters.ts';
import type { Program } from '../program/program.ts';
import { ofLayer } from '../steps/sign.ts';
import type { Run } from '../steps/step.ts';
import {
  type ActivationIndicators,
  DEAD_BITS,
  type EpochIndicators,
  estimatingError,
  magnitudeStatistics,
  meanOf,
  SignCounts,
  summarizeLayers,
} from './indicators.ts';
import { SignChanges } from './sign-changes.ts';
import { spacingEntropy } from './spacing-entropy.ts';

/** Places of each batch at which signs are counted, and of the whole sample at which entropies are estimated: enough for either. */
const COUNTED_ROWS = 4096;
const ENTROPY_ROWS = 1024;
const ROWS_STREAM = 0x726f7773;

export interface ProbeOptions {
  /** Its surrogate at the end of training is what the estimating error is measured from. */
  readonly estimator: Estimator;
  readonly seed: number;
  readonly stepsPerEpoch: number;
  /** Gradients of the latent weights over a batch, which `measure` disposes; moves nothing. */
  readonly differentiate: (
    batch: Batch,
    epoch: number,
    observe: NonNullable<Run['observe']>,
  ) => Promise<ReadonlyMap<string, tf.Tensor>>;
}

interface SeenActivations {
  readonly channels: number;
  readonly counts: SignCounts;
  /** Values of some rows, all channels each. */
  readonly rows: number[][];
}

/** Call `beginEpoch` before the first step of an epoch, `afterStep` after each, and `measure` after the last. */
export class IndicatorProbe {
  readonly #program: Program;
  readonly #options: ProbeOptions;
  readonly #changes: SignChanges;

  constructor(program: Program, options: ProbeOptions) {
    this.#program = program;
    this.#options = options;
    this.#changes = new SignChanges(program);
  }

  beginEpoch(): void {
    this.#changes.beginEpoch();
  }

  afterStep(): void {
    this.#changes.update();
  }

  /** Those that `afterStep` replaces. */
  tensors(): tf.Tensor[] {
    return this.#changes.tensors();
  }

  /** Null for a network without binary weights. */
  async measure(sample: Batcher, epoch: number): Promise<EpochIndicators | null> {
    const gradients = new Map<string, { mean: number; variance: number }[]>();
    const activations = new Map<string, SeenActivations>();
    for await (const batch of sample.epoch(0)) {
      const observed = new Map<string, tf.Tensor>();
      const observe = (layer: string, x: tf.Tensor): void => {
        if (!observed.has(layer)) observed.set(layer, tf.keep(tf.clone(x)));
      };
      const found = await this.#options.differentiate(batch, epoch, observe);
      for (const { name } of this.#changes.weights()) {
        const gradient = found.get(name);
        if (gradient === undefined) continue;
        const statistics = magnitudeStatistics(await gradient.data());
        gradients.set(name, [...(gradients.get(name) ?? []), statistics]);
      }
      tf.dispose([...found.values()]);
      const entropyRows = Math.ceil(ENTROPY_ROWS / sample.batchesPerEpoch);
      for (const [layer, x] of observed)
        activations.set(layer, await this.#see(layer, x, batch, entropyRows, activations));
      tf.dispose([...observed.values()]);
    }
    const layers = [];
    for (const { name } of this.#changes.weights()) {
      const binarized = this.#program.binarized(name);
      const weights = await binarized.data();
      binarized.dispose();
      const layer = layerOf(name);
      const error = estimatingError(weights, ofLayer(this.#options.estimator, layer).surrogate);
      const statistics = gradients.get(name) ?? [];
      const seen = activations.get(layer);
      layers.push({
        layer,
        weights: weights.length,
        estimatingError: error,
        gradientVariance: mean(statistics.map(({ variance }) => variance)),
        errorPerWeight: error / Math.sqrt(weights.length),
        gradientVariation: mean(statistics.map((g) => (g.mean === 0 ? 0 : Math.sqrt(g.variance) / g.mean))),
        ...(await this.#changes.measure(name, this.#options.stepsPerEpoch)),
        activations: seen === undefined ? null : summarizeActivations(seen),
      });
    }
    return layers.length === 0 ? null : summarizeLayers(layers);
  }

  /** The state, as named tensors. */
  save(): Promise<Map<string, Tensor>> {
    return this.#changes.save();
  }

  /** @throws {BnnError} E_FORMAT when a tensor is missing or has another size. */
  restore(saved: ReadonlyMap<string, Tensor>, at?: string): void {
    this.#changes.restore(saved, at);
  }

  dispose(): void {
    this.#changes.dispose();
  }

  /** Adds what a layer is about to binarize, at places that depend on the seed alone. */
  async #see(
    layer: string,
    x: tf.Tensor,
    { labels, index, count }: Batch,
    entropyRows: number,
    before: ReadonlyMap<string, SeenActivations>,
  ): Promise<SeenActivations> {
    const channels = x.shape.at(-1) ?? 1;
    const seen = before.get(layer) ?? { channels, counts: new SignCounts(channels), rows: [] };
    const z = (await x.data()) as Float32Array;
    const rows = z.length / channels;
    const rng = new Rng(this.#options.seed, ROWS_STREAM, index);
    const counted = Math.min(rows, COUNTED_ROWS);
    for (let n = 0; n < counted; n++) {
      const row = counted === rows ? n : rng.below(rows);
      seen.counts.add(z, row * channels, labels[Math.floor((row * count) / rows)] ?? -1);
    }
    // Without repetition, which would look like an atom.
    const chosen = rng.permutation(rows).subarray(0, entropyRows);
    for (const row of chosen) seen.rows.push(Array.from(z.subarray(row * channels, (row + 1) * channels)));
    return seen;
  }
}

function summarizeActivations({ channels, counts, rows }: SeenActivations): ActivationIndicators {
  const entropies = counts.entropies();
  const estimates = Array.from({ length: channels }, (_, c) =>
    spacingEntropy(rows.map((row) => row[c] ?? Number.NaN)),
  ).filter((estimate) => estimate !== null);
  return {
    channels,
    signEntropy: meanOf(entropies) ?? 0,
    deadChannels: entropies.filter((bits) => bits < DEAD_BITS).length,
    labelInformation: meanOf(counts.labelInformation()) ?? 0,
    continuousChannels: estimates.length,
    preSignEntropy: meanOf(estimates.map(({ entropy }) => entropy)),
    preSignGap: meanOf(estimates.map(({ gap }) => gap)),
  };
}
