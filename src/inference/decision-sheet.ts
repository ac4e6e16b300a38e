/** What a classifier takes for what: the confusion matrix, and its mistakes. */

import type { Batch } from '../data/batches/batch-maker.ts';
import type { Dataset } from '../data/dataset.ts';
import type { ChannelStatistics } from '../data/normalization.ts';
import type { Pixels } from '../data/pictures/encode-picture.ts';
import { pictureName } from '../data/pictures/picture-source.ts';
import { argMax } from './classification.ts';

export interface Mistake {
  /** Position among the test pictures. */
  readonly index: number;
  /** Of a picture in a file its path, else `test picture 12`. */
  readonly picture: string;
  /** Class indices: what it is, and what it was taken for. */
  readonly label: number;
  readonly decision: number;
  /** Of both, 0 … 1. */
  readonly probability: number;
  readonly labelProbability: number;
  /** What the network saw, of the mistakes that it is most certain of; null of the others. */
  readonly pixels: Pixels | null;
}

/** Adds up decisions of batches. */
export class DecisionSheet {
  readonly #dataset: Dataset;
  readonly #normalization: ChannelStatistics;
  readonly #most: number;
  readonly #counts: number[][];
  readonly #mistakes: Omit<Mistake, 'pixels'>[] = [];
  /** The most certain ones, in falling order. */
  readonly #seen: { readonly index: number; readonly probability: number; readonly pixels: Pixels }[] = [];

  /**
   * @param normalization  of the batches that are added.
   * @param most           mistakes whose pictures are kept.
   */
  constructor(dataset: Dataset, normalization: ChannelStatistics, most: number) {
    this.#dataset = dataset;
    this.#normalization = normalization;
    this.#most = most;
    this.#counts = dataset.classes.map(() => dataset.classes.map(() => 0));
  }

  /**
   * @param logits         [count][classes]: the largest is the decision, the first of equals.
   * @param probabilities  [count][classes].
   */
  add(batch: Batch, logits: ArrayLike<number>, probabilities: ArrayLike<number>): void {
    const classes = this.#dataset.classes.length;
    for (let row = 0; row < batch.count; row++) {
      const label = batch.labels[row] ?? 0;
      const decision = argMax(logits, row * classes, classes);
      const counts = this.#counts[label];
      if (counts !== undefined) counts[decision] = (counts[decision] ?? 0) + 1;
      if (decision === label) continue;
      const at = (k: number): number => probabilities[row * classes + k] ?? Number.NaN;
      const index = batch.indices[row] ?? 0;
      const [probability, labelProbability] = [at(decision), at(label)];
      this.#mistakes.push({ index, picture: this.#nameOf(index), label, decision, probability, labelProbability });
      this.#keep(index, probability, batch, row);
    }
  }

  /** Pictures of each class (rows) by what they were taken for (columns). */
  get confusion(): readonly (readonly number[])[] {
    return this.#counts;
  }

  /** The most certain first. */
  get mistakes(): readonly Mistake[] {
    const pixels = new Map(this.#seen.map((one) => [one.index, one.pixels]));
    return this.#mistakes
      .map((mistake) => ({ ...mistake, pixels: pixels.get(mistake.index) ?? null }))
      .sort((a, b) => b.probability - a.probability || a.index - b.index);
  }

  #nameOf(index: number): string {
    const { test } = this.#dataset;
    return test.kind === 'files' ? pictureName(test.pictures, index) : `test picture ${index}`;
  }

  #keep(index: number, probability: number, batch: Batch, row: number): void {
    if (this.#most === 0) return;
    const last = this.#seen[this.#most - 1];
    if (last !== undefined && last.probability >= probability) return;
    const place = this.#seen.findIndex((one) => one.probability < probability);
    this.#seen.splice(place < 0 ? this.#seen.length : place, 0, {
      index,
      probability,
      pixels: this.#pixelsOf(batch, row),
    });
    this.#seen.length = Math.min(this.#seen.length, this.#most);
  }

  #pixelsOf({ images, count }: Batch, row: number): Pixels {
    const { height, width, channels } = this.#dataset;
    const { mean, std } = this.#normalization;
    const size = images.length / count;
    const data = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      const c = i % channels;
      data[i] = Math.round(255 * ((images[row * size + i] ?? 0) * (std[c] ?? 1) + (mean[c] ?? 0)));
    }
    return { data, height, width, channels };
  }
}
