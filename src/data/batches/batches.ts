/** Batches of a split, epoch after epoch, made ahead in worker threads or on demand. */

import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { BnnError } from '../../errors.ts';
import type { Split } from '../dataset.ts';
import {
  type Batch,
  type BatchMaker,
  type BatchOptions,
  bufferOf,
  checkCount,
  createBatchMaker,
} from './batch-maker.ts';
import { BatchWorkers } from './batch-workers.ts';
import type { BrokenImage } from './decode-pictures.ts';
import { keepFramed } from './framed-pictures.ts';
import { SpareArrays } from './spare-arrays.ts';

export interface BatcherOptions extends BatchOptions {
  /**
   * Batches that workers make ahead; 0 (unless told) makes each in this thread when it is asked for. Same bits either way. Fewer are
   * made ahead when so many would take more than a gigabyte, but at least one; none where the system starts no threads, or where
   * pictures are changed by a function.
   */
  readonly prefetch?: number | undefined;
  /** Worker threads that make batches; unless told, one, but where pictures are decoded one for every four cores and at least two. */
  readonly workers?: number | undefined;
  /** Keeps pictures that are framed alike in every epoch, up to 256 MiB, so that they are decoded once; false unless told. */
  readonly keepFramed?: boolean | undefined;
  /** Also gives out batches without pictures, where all are broken or the part of this process is empty; false unless told. */
  readonly keepEmpty?: boolean | undefined;
  /** Called once for each picture that is left out because it is broken, when its batch is given out. */
  readonly onBrokenImage?: ((image: BrokenImage) => void) | undefined;
}

/** The rest of one epoch; can be gone through once. Leaving a `for await` early is fine. */
export interface BatchStream extends AsyncIterableIterator<Batch> {
  /** How long the consumer has waited for batches so far, in milliseconds. */
  readonly waitMs: number;
  close(): Promise<void>;
}

/** What batches that are made ahead may take together. */
const PREFETCH_BYTES = 2 ** 30;
/** So many may be broken; beyond that, more broken than good pictures are an error even where broken ones are left out. */
const FEW_BROKEN = 16;
/**
 * A worker's own share of a picture, normalization, takes about a tenth of decoding it. Two at least, because where all cores are busy
 * with training, a single thread gets too little of them to keep the decoding threads at work.
 */
const CORES_PER_WORKER = 4;
const LEAST_DECODERS = 2;

/** Makes the batches of one split; holds its workers across epochs. */
export class Batcher {
  /** Of the split. */
  readonly pictures: number;
  readonly #maker: BatchMaker;
  readonly #workers: BatchWorkers | undefined;
  readonly #ahead: number;
  readonly #keepEmpty: boolean;
  readonly #onBrokenImage: ((image: BrokenImage) => void) | undefined;
  readonly #reported = new Set<number>();
  readonly #spare = new SpareArrays();
  #seen = 0;
  #leftOut = 0;
  #streams = 0;

  /** @throws {BnnError} E_USAGE for options that make no sense, or that leave no batch. */
  constructor(split: Split, options: BatcherOptions) {
    const { prefetch = 0, workers = defaultWorkers(split), keepFramed: keep, keepEmpty = false, ...rest } = options;
    const { onBrokenImage, ...batchOptions } = rest;
    const isSame = !((batchOptions.augment?.cropScale ?? 0) > 0);
    if (keep === true && split.kind === 'files' && isSame) split = keepFramed(split);
    checkCount('prefetch', prefetch, 0);
    checkCount('workers', workers, 1);
    this.#maker = createBatchMaker(split, batchOptions);
    this.#keepEmpty = keepEmpty;
    this.pictures = split.count;
    this.#onBrokenImage = onBrokenImage;
    const pixels = Math.min(batchOptions.batchSize, split.count) * split.height * split.width * split.channels;
    const batchBytes = batchOptions.asBytes === true ? pixels : 4 * pixels;
    this.#ahead = Math.min(prefetch, Math.max(1, Math.floor(PREFETCH_BYTES / batchBytes)));
    // A function cannot be given to another thread.
    if (prefetch > 0 && batchOptions.change === undefined)
      this.#workers = BatchWorkers.start(split, batchOptions, Math.min(workers, this.#ahead));
  }

  /** Pictures that were left out so far because they are broken. */
  get brokenCount(): number {
    return this.#reported.size;
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
    const workers = this.#workers;
    const report = (batch: Batch): void => this.#report(batch);
    if (workers === undefined) {
      const take = (bytes: number) => this.#spare.take(bytes);
      const make = (index: number): Promise<Batch> => this.#maker.make(epoch, index, take);
      return new Stream({ startBatch, total, ahead: 1, request: make, report, keepEmpty: this.#keepEmpty });
    }
    const stream = this.#streams++;
    return new Stream({
      startBatch,
      total,
      ahead: this.#ahead,
      request: (index) => workers.request(stream, epoch, index),
      report,
      keepEmpty: this.#keepEmpty,
      workers,
      cancel: () => workers.cancel(stream),
    });
  }

  /**
   * Takes the pictures of a batch back to write others into them, which saves the system from finding and clearing new memory. Nobody
   * may use `batch.images` or its bytes any more; with workers they have length 0 afterwards. Never needed.
   */
  recycle(batch: Batch): void {
    const buffer = bufferOf(batch);
    if (buffer.byteLength === 0) return;
    if (this.#workers === undefined) this.#spare.add(buffer);
    else this.#workers.recycle(batch);
  }

  /** Ends the workers; streams that are still open fail. */
  async close(): Promise<void> {
    await this.#workers?.close();
  }

  #report({ broken, count }: Batch): void {
    this.#seen += count + broken.length;
    this.#leftOut += broken.length;
    const [first] = broken;
    if (first !== undefined && this.#leftOut >= FEW_BROKEN && this.#leftOut > this.#seen / 2) {
      const message = `${this.#leftOut} of the first ${this.#seen} pictures cannot be decoded; e.g. ${first.message}`;
      throw new BnnError('E_FORMAT', message, { at: first.at, hint: 'are these the right files?' });
    }
    for (const image of broken) {
      if (this.#reported.has(image.index)) continue;
      this.#reported.add(image.index);
      this.#onBrokenImage?.(image);
    }
  }
}

function defaultWorkers(split: Split): number {
  return split.kind === 'memory' ? 1 : Math.max(LEAST_DECODERS, Math.ceil(availableParallelism() / CORES_PER_WORKER));
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

interface StreamOptions {
  readonly startBatch: number;
  readonly total: number;
  /** Batches that may be asked for and not yet given out. */
  readonly ahead: number;
  readonly request: (index: number) => Promise<Batch>;
  readonly report: (batch: Batch) => void;
  readonly keepEmpty: boolean;
  /** Absent when batches are made on demand. */
  readonly workers?: BatchWorkers;
  readonly cancel?: () => void;
}

class Stream implements BatchStream {
  readonly #options: StreamOptions;
  /** Batches asked for and not yet given out, in order: at most `ahead`, which bounds the memory. */
  readonly #requested: Promise<Batch>[] = [];
  #nextIndex: number;
  #waitMs = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#nextIndex = options.startBatch;
    if (options.workers !== undefined) this.#fill();
  }

  get waitMs(): number {
    return this.#waitMs;
  }

  async next(): Promise<IteratorResult<Batch>> {
    const begin = performance.now();
    const { workers, report, keepEmpty } = this.#options;
    try {
      for (;;) {
        this.#fill();
        const first = this.#requested.shift();
        if (first === undefined) return { done: true, value: undefined };
        if (workers !== undefined) this.#fill();
        const value = await (workers?.wait(first) ?? first);
        report(value);
        // Empty when all its pictures are broken.
        if (value.count > 0 || keepEmpty) return { done: false, value };
      }
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
    const { total, cancel } = this.#options;
    if (this.#nextIndex < total || this.#requested.length > 0) cancel?.();
    this.#nextIndex = total;
    this.#requested.length = 0;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #fill(): void {
    const { ahead, total, request } = this.#options;
    while (this.#requested.length < ahead && this.#nextIndex < total) {
      this.#requested.push(request(this.#nextIndex++));
    }
  }
}
