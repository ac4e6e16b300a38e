/** Batches of a split, epoch after epoch, made ahead in a worker thread or on demand. */

import { performance } from 'node:perf_hooks';
import { BnnError } from '../errors.ts';
import { type Batch, type BatchMaker, type BatchOptions, checkCount, createBatchMaker } from './batch-maker.ts';
import { BatchThread } from './batch-thread.ts';
import type { Split } from './dataset.ts';

export interface BatcherOptions extends BatchOptions {
  /** Batches that a worker makes ahead; 0 (unless told) makes each in this thread when it is asked for. Same bits either way. */
  readonly prefetch?: number | undefined;
}

/** The rest of one epoch; can be gone through once. Leaving a `for await` early is fine. */
export interface BatchStream extends AsyncIterableIterator<Batch> {
  /** How long the consumer has waited for batches so far, in milliseconds. */
  readonly waitMs: number;
  close(): Promise<void>;
}

/** Makes the batches of one split; holds a worker across epochs. */
export class Batcher {
  readonly #maker: BatchMaker;
  readonly #thread: BatchThread | undefined;
  readonly #prefetch: number;
  #streams = 0;

  /** @throws {BnnError} E_USAGE for options that make no sense, or that leave no batch. */
  constructor(split: Split, options: BatcherOptions) {
    const { prefetch = 0, ...batchOptions } = options;
    checkCount('prefetch', prefetch, 0);
    this.#prefetch = prefetch;
    this.#maker = createBatchMaker(split, batchOptions);
    this.#thread = prefetch > 0 ? new BatchThread(split, batchOptions) : undefined;
  }

  get batchesPerEpoch(): number {
    return this.#maker.batchesPerEpoch;
  }

  /**
   * The batches of an epoch from `startBatch` on; the worker begins at once. Batch k of epoch e is always the same bits.
   *
   * @throws {BnnError} E_USAGE when `startBatch` is beyond the end of the epoch.
   */
  epoch(epoch: number, startBatch = 0): BatchStream {
    checkCount('epoch', epoch, 0);
    checkCount('startBatch', startBatch, 0);
    const total = this.batchesPerEpoch;
    if (startBatch > total) {
      throw new BnnError('E_USAGE', `cannot start at batch ${startBatch} of an epoch of ${total}`, {
        hint: 'batch size and limits must be those of the run that is continued',
      });
    }
    const thread = this.#thread;
    if (thread === undefined) return new Stream(startBatch, total, 1, (index) => this.#maker.make(epoch, index));
    const stream = this.#streams++;
    return new Stream(
      startBatch,
      total,
      this.#prefetch,
      (index) => thread.request(stream, epoch, index),
      thread,
      () => thread.cancel(stream),
    );
  }

  /** Ends the worker; streams that are still open fail. */
  async close(): Promise<void> {
    await this.#thread?.close();
  }
}

/** One epoch of a split, for those who need no more; closing it, or coming to its end, ends its worker. */
export function createBatches(
  split: Split,
  options: BatcherOptions & { readonly epoch?: number | undefined; readonly startBatch?: number | undefined },
): BatchStream {
  const { epoch = 0, startBatch = 0, ...rest } = options;
  const batcher = new Batcher(split, rest);
  const stream = batcher.epoch(epoch, startBatch);
  const end = async (): Promise<IteratorResult<Batch>> => {
    await stream.close();
    await batcher.close();
    return { done: true, value: undefined };
  };
  return {
    get waitMs() {
      return stream.waitMs;
    },
    next: async () => {
      const result = await stream.next();
      return result.done === true ? end() : result;
    },
    return: end,
    close: async () => {
      await end();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

class Stream implements BatchStream {
  readonly #total: number;
  readonly #ahead: number;
  readonly #request: (index: number) => Promise<Batch>;
  readonly #thread: BatchThread | undefined;
  readonly #cancel: () => void;
  /** Batches asked for and not yet given out, in order: at most `#ahead`, which bounds the memory. */
  readonly #requested: Promise<Batch>[] = [];
  #nextIndex: number;
  #waitMs = 0;

  constructor(
    startBatch: number,
    total: number,
    ahead: number,
    request: (index: number) => Promise<Batch>,
    thread?: BatchThread,
    cancel: () => void = () => {},
  ) {
    this.#nextIndex = startBatch;
    this.#total = total;
    this.#ahead = ahead;
    this.#request = request;
    this.#thread = thread;
    this.#cancel = cancel;
    if (thread !== undefined) this.#fill();
  }

  get waitMs(): number {
    return this.#waitMs;
  }

  async next(): Promise<IteratorResult<Batch>> {
    const begin = performance.now();
    this.#fill();
    const first = this.#requested.shift();
    if (first === undefined) return { done: true, value: undefined };
    if (this.#thread !== undefined) this.#fill();
    try {
      return { done: false, value: await (this.#thread?.wait(first) ?? first) };
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      this.#waitMs += performance.now() - begin;
    }
  }

  async return(): Promise<IteratorResult<Batch>> {
    await this.close();
    return { done: true, value: undefined };
  }

  async close(): Promise<void> {
    if (this.#nextIndex < this.#total || this.#requested.length > 0) this.#cancel();
    this.#nextIndex = this.#total;
    this.#requested.length = 0;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #fill(): void {
    while (this.#requested.length < this.#ahead && this.#nextIndex < this.#total) {
      this.#requested.push(this.#request(this.#nextIndex++));
    }
  }
}
