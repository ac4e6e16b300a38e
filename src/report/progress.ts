/** The live line at the bottom of a terminal, and the bar in it. */

import { performance } from 'node:perf_hooks';

/** What is needed of a terminal's stream. */
export interface LineStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

const REFRESH_MS = 100;
const DEFAULT_COLUMNS = 80;
const CLEAR_LINE = '\r\u001b[2K';

/**
 * Lines that stay, and below them one that is overwritten. On anything but a terminal the live line does not exist, and nothing but
 * whole lines is written.
 */
export class LiveLine {
  readonly #stream: LineStream;
  readonly #isLive: boolean;
  #isShown = false;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(stream: LineStream, isEnabled = true) {
    this.#stream = stream;
    this.#isLive = isEnabled && stream.isTTY === true;
  }

  /** Replaces the live line, at most ten times a second; `text` is only made when it will be shown. */
  update(text: () => string): void {
    if (!this.#isLive) return;
    const now = performance.now();
    if (now - this.#lastMs < REFRESH_MS) return;
    this.#lastMs = now;
    const columns = this.#stream.columns ?? DEFAULT_COLUMNS;
    // A line that wraps could not be overwritten.
    this.#stream.write(CLEAR_LINE + [...text()].slice(0, columns - 1).join(''));
    this.#isShown = true;
  }

  /** Takes the live line away. */
  clear(): void {
    if (this.#isShown) this.#stream.write(CLEAR_LINE);
    this.#isShown = false;
    this.#lastMs = Number.NEGATIVE_INFINITY;
  }

  /** Writes lines that stay. */
  log(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }
}

/** `[#######.............]`, `share` in 0 … 1. */
export function formatBar(share: number, width = 20): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`;
}
