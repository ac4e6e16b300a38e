/** Entry point of the thread that reads HDF5 files; `h5-thread.ts` is the other end. */

import { parentPort } from 'node:worker_threads';
import { contentLimit } from '../../core/formats/memory-budget.ts';
import { systemErrorCode } from '../../errors.ts';
import { type H5Content, type H5Library, readContent } from './h5-content.ts';

export type H5Answer =
  | ({ readonly kind: 'content' } & H5Content)
  /** `aborted`: the library cannot be used again. */
  | { readonly kind: 'damaged'; readonly reason: string; readonly aborted: boolean }
  | { readonly kind: 'missing' }
  /** Comes once, when the thread has started. */
  | { readonly kind: 'ready' };

const PACKAGE: string = 'h5wasm';

/** Of the C library: the tensors that a file may have, one of them twice, and what it keeps itself. */
const OWN_BYTES = 128e6;
const PAGE_BYTES = 65536;
let mostBytes = OWN_BYTES;

/** The types of Node leave WebAssembly to those of browsers. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
const memory = (globalThis as unknown as { WebAssembly: { Memory: { prototype: WasmMemory } } }).WebAssembly.Memory
  .prototype;
const grow = memory.grow;
// A file may declare pieces of any size, and unpack to more than it declares; the library asks for memory here.
memory.grow = function (this: WasmMemory, pages: number): number {
  if (this.buffer.byteLength + pages * PAGE_BYTES > mostBytes) {
    throw new RangeError('more memory than the file explains');
  }
  return grow.call(this, pages);
};

// The library writes a page about every error; in this thread nothing else writes.
console.error = () => {};
console.warn = console.error;
console.log = console.error;

async function answer(bytes: Uint8Array): Promise<H5Answer> {
  mostBytes = OWN_BYTES + contentLimit(bytes.length);
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
  const found = await answer(bytes);
  const own = found.kind === 'content' ? found.tensors.map((tensor) => tensor.bytes.buffer as ArrayBuffer) : [];
  parentPort?.postMessage(found, own);
});
parentPort?.postMessage({ kind: 'ready' } satisfies H5Answer);
