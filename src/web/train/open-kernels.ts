/** The training kernels in a worker of a browser. */

import { useWasm } from '../../backends/wasm/register-wasm.ts';
import { shareMemory, WasmKernels, wasm } from '../../backends/wasm/wasm-addon.ts';
import { BnnError } from '../../errors.ts';
import { startWebThread } from '../page-threads.ts';
import { fetchBytes } from './fetch-bytes.ts';

/** More are of little use to batches of usual sizes. */
const MOST_THREADS = 8;

const browser = globalThis as unknown as {
  readonly crossOriginIsolated?: boolean;
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly WebAssembly?: { validate(bytes: Uint8Array): boolean };
};

/** A module whose function adds two vectors. */
const VECTORS = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0],
  ...[65, 0, 253, 15, 65, 0, 253, 15, 253, 174, 1, 11],
);

/**
 * Makes them tfjs's backend, on as many threads as the page may have.
 *
 * @returns how many threads there are.
 * @throws {BnnError} E_BACKEND where WebAssembly, its vector instructions or the memory are missing.
 */
export async function openKernels(): Promise<number> {
  if (browser.WebAssembly?.validate(VECTORS) !== true) {
    const what = browser.WebAssembly === undefined ? 'WebAssembly' : 'the vector instructions of WebAssembly';
    throw new BnnError('E_BACKEND', `training needs ${what}, which this browser lacks or has switched off`, {
      hint: 'every browser since 2023 has them: Chrome and Edge 91, Firefox 89, Safari 16.4',
    });
  }
  const wanted = Math.min(browser.navigator?.hardwareConcurrency ?? 1, MOST_THREADS);
  const memory = browser.crossOriginIsolated === true && wanted > 1 ? shareMemory() : undefined;
  const module = await compile(memory === undefined ? 'training.wasm' : 'training-threads.wasm');
  const threads = memory && { memory, start: startWebThread };
  return useWasm(instantiate({ module, threads }), threads === undefined ? 1 : wanted);
}

async function compile(name: string): Promise<object> {
  const bytes = await fetchBytes(name);
  try {
    return await wasm.compile(bytes);
  } catch (cause) {
    throw new BnnError('E_BACKEND', `the training kernels do not compile: ${messageOf(cause)}`, {
      at: name,
      hint: 'copy all files of the folder to the server, completely',
      cause,
    });
  }
}

function instantiate(parts: ConstructorParameters<typeof WasmKernels>[0]): WasmKernels {
  try {
    return new WasmKernels(parts);
  } catch (cause) {
    throw new BnnError('E_BACKEND', `the training kernels do not start: ${messageOf(cause)}`, {
      hint: 'they reserve 2 GiB of addresses: close other pages, or use a computer instead of a telephone',
      cause,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
