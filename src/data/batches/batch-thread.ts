/** The main thread's end of the batch worker. */

import type { Worker } from 'node:worker_threads';
import { startWorker } from '../../core/machine/worker-thread.ts';
import type { Split } from '../dataset.ts';
import type { Batch, BatchOptions } from './batch-maker.ts';
import { fromErrorMessage, type Request, type Response, type WorkerInput } from './batch-messages.ts';

interface Pending {
  readonly stream: number;
  readonly resolve: (batch: Batch) => void;
  readonly reject: (error: unknown) => void;
}

/** A worker thread that makes batches of one split. It keeps the process alive only while someone waits for a batch. */
export class BatchThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #waiting = 0;
  #death: Error | undefined;

  constructor(split: Split, options: BatchOptions) {
    const input: WorkerInput = { split, options };
    this.#worker = startWorker(import.meta.url, 'batch-worker', { workerData: input });
    this.#worker.on('message', (response: Response) => {
      const pending = this.#pending.get(response.id);
      this.#pending.delete(response.id);
      if (response.kind === 'batch') pending?.resolve(response.batch);
      else pending?.reject(fromErrorMessage(response.error));
    });
    this.#worker.on('error', (cause) => this.#die(new Error('internal: the batch worker failed', { cause })));
    this.#worker.on('exit', (code) => this.#die(new Error(`internal: the batch worker ended with code ${code}`)));
    // Last: a listener for messages keeps the process alive again.
    this.#worker.unref();
  }

  /** Asks for a batch; they are made in the order in which they are asked for. */
  request(stream: number, epoch: number, index: number): Promise<Batch> {
    const id = this.#nextId++;
    const promise = new Promise<Batch>((resolve, reject) => {
      if (this.#death === undefined) this.#pending.set(id, { stream, resolve, reject });
      else reject(this.#death);
    });
    // Whoever awaits it gets the error; a batch that nobody awaits must not end the process.
    promise.catch(() => {});
    this.#post({ kind: 'make', id, stream, epoch, index });
    return promise;
  }

  /** Awaits something that the worker does, and keeps the process alive meanwhile. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    if (this.#waiting++ === 0) this.#worker.ref();
    try {
      return await promise;
    } finally {
      if (--this.#waiting === 0) this.#worker.unref();
    }
  }

  /** Drops the requests of a stream that are not begun. */
  cancel(stream: number): void {
    for (const [id, pending] of this.#pending) {
      if (pending.stream !== stream) continue;
      this.#pending.delete(id);
      pending.reject(new Error('internal: the batch was cancelled'));
    }
    this.#post({ kind: 'cancel', stream });
  }

  /** Gives the memory of a batch's pictures back; they are empty here afterwards. */
  recycle(buffer: ArrayBuffer): void {
    this.#worker.postMessage({ kind: 'recycle', buffer } satisfies Request, [buffer]);
  }

  async close(): Promise<void> {
    this.#die(new Error('internal: a batch was asked of a batcher that is closed'));
    await this.#worker.terminate();
  }

  #post(request: Request): void {
    this.#worker.postMessage(request);
  }

  #die(error: Error): void {
    this.#death ??= error;
    for (const pending of this.#pending.values()) pending.reject(this.#death);
    this.#pending.clear();
  }
}
