/** Several batch threads that share the work: batch k is made by thread k mod n, so each is busy with one of the next n batches. */

import { isOutOfThreads, sayFewerThreads } from '../../core/machine/scarce-threads.ts';
import type { Split } from '../dataset.ts';
import { type Batch, type BatchOptions, bufferOf } from './batch-maker.ts';
import { BatchThread } from './batch-thread.ts';

/** As `BatchThread`, of which it holds `count`. */
export class BatchWorkers {
  readonly #threads: readonly BatchThread[];

  private constructor(threads: readonly BatchThread[]) {
    this.#threads = threads;
  }

  /** `count` threads, or as many as the system starts, which is said; undefined when that is none. */
  static start(split: Split, options: BatchOptions, count: number): BatchWorkers | undefined {
    const threads: BatchThread[] = [];
    try {
      while (threads.length < count) threads.push(new BatchThread(split, options));
    } catch (error) {
      if (!(error instanceof Error && isOutOfThreads(error.cause))) throw error;
      sayFewerThreads(`batches are made ahead by ${threads.length} of ${count} threads`);
    }
    return threads.length === 0 ? undefined : new BatchWorkers(threads);
  }

  request(stream: number, epoch: number, index: number): Promise<Batch> {
    return this.#threadOf(index).request(stream, epoch, index);
  }

  /** Awaits a batch, and keeps the process alive meanwhile. */
  wait(promise: Promise<Batch>): Promise<Batch> {
    // Whichever thread makes it: one that is referenced is enough.
    return this.#threadOf(0).wait(promise);
  }

  recycle(batch: Batch): void {
    this.#threadOf(batch.index).recycle(bufferOf(batch));
  }

  cancel(stream: number): void {
    for (const thread of this.#threads) thread.cancel(stream);
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #threadOf(index: number): BatchThread {
    const thread = this.#threads[index % this.#threads.length];
    if (thread === undefined) throw new Error('internal: no batch thread');
    return thread;
  }
}
