/** Several batch threads that share the work: batch k is made by thread k mod n, so each is busy with one of the next n batches. */

import type { Batch, BatchOptions } from './batch-maker.ts';
import { BatchThread } from './batch-thread.ts';
import type { Split } from './dataset.ts';

/** As `BatchThread`, of which it holds `count`. */
export class BatchWorkers {
  readonly #threads: readonly BatchThread[];

  constructor(split: Split, options: BatchOptions, count: number) {
    this.#threads = Array.from({ length: count }, () => new BatchThread(split, options));
  }

  request(stream: number, epoch: number, index: number): Promise<Batch> {
    return this.#threadOf(index).request(stream, epoch, index);
  }

  /** Awaits a batch, and keeps the process alive meanwhile. */
  wait(promise: Promise<Batch>): Promise<Batch> {
    // Whichever thread makes it: one that is referenced is enough.
    return this.#threadOf(0).wait(promise);
  }

  recycle({ index, images }: Batch): void {
    this.#threadOf(index).recycle(images);
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
