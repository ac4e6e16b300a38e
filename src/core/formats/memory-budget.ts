/** A bound on the memory that decoding a file takes, so that a small file made for it cannot claim much. */

import { BnnError } from '../../errors.ts';

export class MemoryBudget {
  readonly #limitBytes: number;
  #left: number;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    this.#left = limitBytes;
  }

  /**
   * Takes note of memory before it is allocated.
   *
   * @throws {BnnError} E_FORMAT when it is more than is left.
   */
  charge(bytes: number): void {
    this.#left -= bytes;
    // A count that is no number is no size either.
    if (this.#left >= 0) return;
    const most = Math.round(this.#limitBytes / 1e6);
    throw new BnnError('E_FORMAT', `the file claims more than ${most} MB of memory, much more than its size explains`, {
      hint: 'the file is damaged, or made to exhaust the memory',
    });
  }
}

const SLACK_BYTES = 64e6;
/** Compressed data grow, and views may repeat elements; no honest file of weights grows so much. */
const MOST_GROWTH = 8;

/** Bytes of all the tensors of a file together, at most. */
export function contentLimit(fileBytes: number): number {
  return MOST_GROWTH * fileBytes + SLACK_BYTES;
}

/** For the elements of the tensors of a file. */
export function contentBudget(fileBytes: number): MemoryBudget {
  return new MemoryBudget(contentLimit(fileBytes));
}
