/** Entry point of the thread that reads HDF5 files; `h5-thread.ts` is the other end. */

import { parentPort } from 'node:worker_threads';
import { systemErrorCode } from '../../errors.ts';
import { type H5Content, type H5Library, readContent } from './h5-content.ts';

export type H5Answer =
  | ({ readonly kind: 'content' } & H5Content)
  /** `aborted`: the library cannot be used again. */
  | { readonly kind: 'damaged'; readonly reason: string; readonly aborted: boolean }
  | { readonly kind: 'missing' };

const PACKAGE: string = 'h5wasm';

// The library writes a page about every error; in this thread nothing else writes.
console.error = () => {};
console.warn = console.error;
console.log = console.error;

async function answer(bytes: Uint8Array): Promise<H5Answer> {
  let library: H5Library;
  try {
    library = (await import(PACKAGE)) as H5Library;
  } catch (error) {
    if (systemErrorCode(error) === 'ERR_MODULE_NOT_FOUND') return { kind: 'missing' };
    throw error;
  }
  try {
    return { kind: 'content', ...(await readContent(library, bytes)) };
  } catch (error) {
    const aborted = error instanceof Error && error.name === 'RuntimeError';
    // The library may throw anything, numbers included.
    return { kind: 'damaged', reason: error instanceof Error ? error.message : `exception ${String(error)}`, aborted };
  }
}

parentPort?.on('message', async (bytes: Uint8Array) => {
  parentPort?.postMessage(await answer(bytes));
});
