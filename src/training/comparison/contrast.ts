/** An arm of a comparison against the first one, over the seeds that both have. */

import { mean, standardDeviation } from '../../core/numbers/statistics.ts';
import { detectableBy, holm, mcnemarP, studentQuantile, twoSidedP } from '../../core/numbers/student.ts';

const CONFIDENCE = 0.95;
const POWER = 0.8;
/** Of accuracies: what rounding leaves of differences that are all the same. */
const LEAST_SPREAD = 1e-12;

/**
 * Of differences that are paired by seed. Of fewer than two, everything but n and mean is null; without a spread (a few test pictures may give
 * every seed the same difference) there is no test, and interval, p and what is detectable are null.
 */
export interface Contrast {
  readonly n: number;
  readonly mean: number;
  readonly std: number | null;
  /** 95 % of such intervals hold the true difference (Student's t), each on its own. */
  readonly interval: readonly [low: number, high: number] | null;
  /** Two-sided, of the paired t test. */
  readonly p: number | null;
  /** The same, corrected for all contrasts of the comparison (Holm). */
  readonly holmP: number | null;
  /**
   * The difference that a design with so many seeds and contrasts would find with a probability of 80 %, were the spread what it is
   * here: by the noncentral t, at the level that Holm's smallest p must pass.
   */
  readonly detectable: number | null;
}

/** Null of no differences. @param contrasts  how many are made together. */
export function contrastOf(differences: readonly number[], contrasts: number): Contrast | null {
  const n = differences.length;
  if (n === 0) return null;
  const average = mean(differences);
  const std = standardDeviation(differences);
  if (std === null || std < LEAST_SPREAD) {
    return { n, mean: average, std, interval: null, p: null, holmP: null, detectable: null };
  }
  const error = std / Math.sqrt(n);
  const half = studentQuantile((1 + CONFIDENCE) / 2, n - 1) * error;
  const strict = studentQuantile(1 - (1 - CONFIDENCE) / 2 / contrasts, n - 1);
  return {
    n,
    mean: average,
    std,
    interval: [average - half, average + half],
    p: twoSidedP(average / error, n - 1),
    holmP: null,
    detectable: detectableBy(POWER, strict, n - 1) * error,
  };
}

/** The contrasts with their corrected p. */
export function correctTogether(contrasts: readonly (Contrast | null)[]): (Contrast | null)[] {
  const tested = contrasts.flatMap((contrast) => (contrast?.p == null ? [] : [contrast]));
  const corrected = holm(tested.map(({ p }) => p ?? 1));
  return contrasts.map((contrast) => {
    const at = contrast === null ? -1 : tested.indexOf(contrast);
    return contrast === null || at < 0 ? contrast : { ...contrast, holmP: corrected[at] ?? null };
  });
}

/** Two networks on the same test pictures (McNemar). */
export interface Disagreement {
  readonly seed: number;
  /** Pictures that only this arm has right. */
  readonly onlyThis: number;
  /** Pictures that only the first arm has right. */
  readonly onlyFirst: number;
  /** Exact and two-sided, of these two networks; it says nothing of other seeds. */
  readonly p: number;
}

/** What a network decided on the test pictures, and what they are. */
export interface Decisions {
  readonly predictions: readonly number[];
  readonly labels: readonly number[];
}

/** Null where they were not tested on the same pictures. */
export function disagreementOf(seed: number, these: Decisions, first: Decisions): Disagreement | null {
  const { labels } = these;
  if (labels.length !== first.labels.length || labels.some((label, i) => label !== first.labels[i])) return null;
  let [onlyThis, onlyFirst] = [0, 0];
  for (const [i, label] of labels.entries()) {
    const [a, b] = [these.predictions[i] === label, first.predictions[i] === label];
    if (a && !b) onlyThis++;
    if (b && !a) onlyFirst++;
  }
  return { seed, onlyThis, onlyFirst, p: mcnemarP(onlyThis, onlyFirst) };
}
