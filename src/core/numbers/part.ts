/** Dividing things evenly. */

/** One of `of` equal parts. */
export interface Part {
  /** 0 … of − 1. */
  readonly index: number;
  readonly of: number;
}

/** Where a part of `count` things begins and ends: sizes differ by one at most. */
export function partOf(count: number, { index, of }: Part): readonly [begin: number, end: number] {
  return [Math.floor((count * index) / of), Math.floor((count * (index + 1)) / of)];
}
