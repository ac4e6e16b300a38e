/** Reads HDF5 files in a thread: what damaged files make of the C library, endless loops included, ends with the thread. */

import type { Worker } from 'node:worker_threads';
import { isHdf5 } from '../../core/file-kind.ts';
import { fromBytes, type Tensor } from '../../core/tensor.ts';
import { startWorker } from '../../core/worker-thread.ts';
import { BnnError } from '../../errors.ts';
import type { H5Answer } from './h5-worker.ts';

/** Reading takes a second per 100 MB or so. */
const PATIENCE_MS = 20_000;
const PATIENCE_MS_PER_MB = 200;

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

  async #ask(bytes: Uint8Array): Promise<H5Answer> {
    const worker = this.#worker ?? startWorker(import.meta.url, 'h5-worker');
    // An error that comes when nobody waits any more must not end the process.
    if (this.#worker === null) worker.on('error', () => {});
    this.#worker = worker;
    const answer = await new Promise<H5Answer>((resolve) => {
      const finish = (found: H5Answer): void => {
        clearTimeout(timer);
        worker.off('message', finish).off('error', onError).off('exit', onExit);
        resolve(found);
      };
      const fail = (reason: string): void => finish({ kind: 'damaged', reason, aborted: true });
      const onError = (error: Error): void => fail(error.message);
      const onExit = (): void => fail('the library gave up');
      const patience = PATIENCE_MS + (PATIENCE_MS_PER_MB * bytes.length) / 1e6;
      const timer = setTimeout(() => fail('reading it does not come to an end'), patience);
      worker.on('message', finish).on('error', onError).on('exit', onExit);
      worker.postMessage(bytes);
    });
    if (answer.kind === 'damaged' && answer.aborted) await this.close();
    return answer;
  }
}
