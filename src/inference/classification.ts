/** Scores of a classifier: arg-max, rank of the label, cross-entropy, agreement of two sets of logits. */

/** Position of the largest of `count` values from `offset` on; the first of equals. NaN comes behind every number. */
export function argMax(values: ArrayLike<number>, offset: number, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) {
    const [value = Number.NaN, most = Number.NaN] = [values[offset + i], values[offset + best]];
    if (value > most || (Number.isNaN(most) && !Number.isNaN(value))) best = i;
  }
  return best;
}

/**
 * How many classes come before the label: larger logits, and equal ones with a smaller index. 0 means that it is the arg-max. A label whose logit is
 * NaN is found by nobody, however few classes there are: infinite.
 */
export function rankOf(logits: ArrayLike<number>, offset: number, classes: number, label: number): number {
  const own = logits[offset + label] ?? Number.NaN;
  if (Number.isNaN(own)) return Infinity;
  let rank = 0;
  for (let i = 0; i < classes; i++) {
    const other = logits[offset + i] ?? Number.NaN;
    if (other > own || (other === own && i < label)) rank++;
  }
  return rank;
}

/** log Σ exp(logits) − logits[label], in float64. */
export function crossEntropy(logits: ArrayLike<number>, offset: number, classes: number, label: number): number {
  const largest = logits[offset + argMax(logits, offset, classes)] ?? Number.NaN;
  let sum = 0;
  for (let i = 0; i < classes; i++) sum += Math.exp((logits[offset + i] ?? Number.NaN) - largest);
  return largest + Math.log(sum) - (logits[offset + label] ?? Number.NaN);
}

export interface ClassScore {
  readonly name: string;
  readonly images: number;
  /** 0 … 1; null when there are no images of the class. */
  readonly top1: number | null;
}

export interface Scores {
  readonly images: number;
  /** Fractions, 0 … 1. */
  readonly top1: number;
  readonly top5: number;
  /** Mean cross-entropy. */
  readonly loss: number;
  readonly classes: readonly ClassScore[];
}

/** Adds up the scores of batches. */
export class ScoreSheet {
  readonly #names: readonly string[];
  readonly #seen: number[];
  readonly #right: number[];
  #top5 = 0;
  #loss = 0;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#seen = names.map(() => 0);
    this.#right = names.map(() => 0);
  }

  /** @param logits  [labels.length][classes]. */
  add(logits: ArrayLike<number>, labels: ArrayLike<number>): void {
    const classes = this.#names.length;
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i] ?? 0;
      const rank = rankOf(logits, i * classes, classes, label);
      this.#seen[label] = (this.#seen[label] ?? 0) + 1;
      if (rank === 0) this.#right[label] = (this.#right[label] ?? 0) + 1;
      if (rank < 5) this.#top5++;
      this.#loss += crossEntropy(logits, i * classes, classes, label);
    }
  }

  get scores(): Scores {
    const images = total(this.#seen);
    return {
      images,
      top1: total(this.#right) / images,
      top5: this.#top5 / images,
      loss: this.#loss / images,
      classes: this.#names.map((name, i) => {
        const seen = this.#seen[i] ?? 0;
        return { name, images: seen, top1: seen === 0 ? null : (this.#right[i] ?? 0) / seen };
      }),
    };
  }
}

function isNumber(value = Number.NaN): boolean {
  return !Number.isNaN(value);
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** How far two models' logits for the same images lie apart. */
export class AgreementSheet {
  readonly #classes: number;
  readonly #largest: number[] = [];
  #same = 0;

  constructor(classes: number) {
    this.#classes = classes;
  }

  /** @param a, b  [images][classes], the same images. */
  add(a: ArrayLike<number>, b: ArrayLike<number>): void {
    const classes = this.#classes;
    for (let offset = 0; offset < a.length; offset += classes) {
      let largest = 0;
      for (let i = offset; i < offset + classes; i++) {
        const difference = Math.abs((a[i] ?? Number.NaN) - (b[i] ?? Number.NaN));
        if (!(difference <= largest)) largest = difference;
      }
      this.#largest.push(largest);
      const [p, q] = [argMax(a, offset, classes), argMax(b, offset, classes)];
      if (p === q && isNumber(a[offset + p]) && isNumber(b[offset + q])) this.#same++;
    }
  }

  /** Share of images with the same arg-max, 0 … 1; without numbers there is none. */
  get agreement(): number {
    return this.#same / this.#largest.length;
  }

  /** The largest |a − b| over all logits; NaN when one is not a number. */
  get maxDifference(): number {
    return this.#largest.reduce((largest, x) => Math.max(largest, x), 0);
  }

  /** Images with a logit that differs by more than `tolerance` (or is not a number). */
  countBeyond(tolerance: number): number {
    return this.#largest.filter((x) => !(x <= tolerance)).length;
  }
}
