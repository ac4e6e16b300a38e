/** Reads HDF5 files in a thread: what damaged files make of the C library, endless loops included, ends with the thread. */

import type { Worker } from 'node:worker_threads';
import { isHdf5 } from '../../core/files/file-kind.ts';
import { startWorker } from '../../core/machine/worker-thread.ts';
import { fromBytes, type Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { H5Answer } from './h5-worker.ts';

/** Reading takes a second per 100 MB or so; a thread has started after a second at most, unless the machine is busy. */
const PATIENCE_MS = 8000;
const PATIENCE_MS_PER_MB = 100;
const START_MS = 30_000;
/** Texts in a file may be repeated; the tensors do not count here. */
const MOST_HEAP_MB = 384;

export interface H5Data {
  /** By path. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** As `H5Content.names`. */
  readonly names: ReadonlyMap<string, string>;
}

/** One file after the other, not several at once. The thread keeps the process alive until it is closed. */
export class H5Thread {
  #worker: Worker | null = null;

  /**
   * The tensors of a file in its order, and the names of its layers; what is no tensor of numbers is left out.
   *
   * @throws {BnnError} E_FORMAT for a damaged file, E_NOT_FOUND when the package that reads HDF5 is not installed.
   */
  async read(bytes: Uint8Array, at?: string): Promise<H5Data> {
    if (!isHdf5(bytes)) {
      throw new BnnError('E_FORMAT', 'not an HDF5 file: it has no signature of that format', {
        at,
        hint: 'give an .h5 file written by Keras or Larq, with save_weights or save',
      });
    }
    const answer = await this.#ask(bytes);
    switch (answer.kind) {
      case 'content':
        return {
          tensors: new Map(
            answer.tensors.map(({ path, dtype, shape, bytes: data }) => [path, fromBytes(dtype, shape, data, at)]),
          ),
          names: new Map(answer.names),
        };
      case 'missing':
        throw new BnnError('E_NOT_FOUND', 'reading HDF5 needs the package h5wasm, which is not installed', {
          at,
          hint: 'npm install h5wasm',
        });
      case 'damaged':
        throw new BnnError('E_FORMAT', `not a readable HDF5 file: ${answer.reason}`, { at });
    }
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }

  async #ask(bytes: Uint8Array): Promise<Exclude<H5Answer, { readonly kind: 'ready' }>> {
    const worker = this.#worker ?? (await this.#start());
    const reading = nextAnswer(worker, PATIENCE_MS + (PATIENCE_MS_PER_MB * bytes.length) / 1e6);
    worker.postMessage(bytes);
    const answer = await reading;
    if (answer.kind === 'damaged' && answer.aborted) await this.close();
    if (answer.kind === 'ready') throw new Error('internal: the thread that reads HDF5 started twice');
    return answer;
  }

  async #start(): Promise<Worker> {
    const worker = startWorker(import.meta.url, 'h5-worker', {
      resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MB },
    });
    // An error that comes when nobody waits any more must not end the process.
    worker.on('error', () => {});
    this.#worker = worker;
    const answer = await nextAnswer(worker, START_MS);
    if (answer.kind === 'damaged') {
      await this.close();
      throw new BnnError('E_BACKEND', `the thread that reads HDF5 does not start: ${answer.reason}`);
    }
    return worker;
  }
}

function nextAnswer(worker: Worker, patienceMs: number): Promise<H5Answer> {
  return new Promise((resolve) => {
    const finish = (found: H5Answer): void => {
      clearTimeout(timer);
      worker.off('message', finish).off('error', onError).off('exit', onExit);
      resolve(found);
    };
    const fail = (reason: string): void => finish({ kind: 'damaged', reason, aborted: true });
    const onError = (error: Error): void => fail(error.message);
    const onExit = (): void => fail('the library gave up');
    const timer = setTimeout(() => fail('reading it does not come to an end'), patienceMs);
    worker.on('message', finish).on('error', onError).on('exit', onExit);
  });
}
