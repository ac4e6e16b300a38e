/** Files that are not taken into a data set, counted by the reason. */

const MOST_REASONS = 8;

export class LeftOut {
  readonly #counts = new Map<string, number>();
  #example = '';

  add(reason: string, path: string): void {
    if (this.#counts.size === 0) this.#example = path;
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  get count(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The first that was left out. */
  get example(): string {
    return this.#example;
  }

  /** E.g. `BMP (12), other files .txt (3)`; the most frequent first. */
  toString(): string {
    const sorted = [...this.#counts].sort((a, b) => b[1] - a[1]);
    const some = sorted.slice(0, MOST_REASONS).map(([reason, count]) => `${reason} (${count})`);
    const rest = sorted.slice(MOST_REASONS).reduce((sum, [, count]) => sum + count, 0);
    return [...some, ...(rest > 0 ? [`others (${rest})`] : [])].join(', ');
  }
}
