/** Which classes are taken for which. */

export interface Confusion {
  readonly classes: readonly string[];
  /** Pictures of each class (rows) by what they were taken for (columns). */
  readonly counts: readonly (readonly number[])[];
}

export interface ConfusedPair {
  readonly label: string;
  readonly decision: string;
  readonly count: number;
  /** Of all pictures of the class, 0 … 1. */
  readonly share: number;
}

/** The pairs that are confused most often, most pictures first. */
export function confusedPairs({ classes, counts }: Confusion, most: number): ConfusedPair[] {
  const pairs = counts.flatMap((row, i) => {
    const all = sum(row);
    return row.flatMap((count, k) =>
      count === 0 || i === k
        ? []
        : [{ label: classes[i] ?? String(i), decision: classes[k] ?? String(k), count, share: count / all }],
    );
  });
  return pairs.sort((a, b) => b.count - a.count || b.share - a.share).slice(0, most);
}

/** Of each class, what share is recognized; null of one without pictures. */
export function recallOf({ counts }: Confusion): (number | null)[] {
  return counts.map((row, i) => (sum(row) === 0 ? null : (row[i] ?? 0) / sum(row)));
}

/** Of what is taken for each class, what share is of it; null where nothing is. */
export function precisionOf({ counts }: Confusion): (number | null)[] {
  return counts.map((_, i) => {
    const taken = sum(counts.map((row) => row[i] ?? 0));
    return taken === 0 ? null : (counts[i]?.[i] ?? 0) / taken;
  });
}

export function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
