/** Puts the backend `wasm` into tfjs: `native`'s, on kernels in WebAssembly. */

import * as tf from '@tensorflow/tfjs-core';
import { type RunningBackend, threadsInWords } from '../backend.ts';
import { NativeBackend } from '../native/backend.ts';
import { NATIVE } from '../native/kernels/kernel.ts';
import type { MemorySource } from '../native/memory-pool.ts';
import { registerNativeKernels } from '../native/register-kernels.ts';
import { addonOf, type WasmKernels } from './wasm-addon.ts';

export const WASM = 'wasm';
/** It is chosen by name only. */
const PRIORITY = 0;

/** Once; it does not become the current backend. */
export function registerWasm(kernels: WasmKernels): void {
  registerNativeKernels();
  tf.copyRegisteredKernels(NATIVE, WASM);
  tf.registerBackend(WASM, () => new NativeBackend(addonOf(kernels), memoryOf(kernels)), PRIORITY);
}

/** Results lie in the module's memory, so that kernels use them where they are. */
function memoryOf(kernels: WasmKernels): MemorySource {
  return {
    allocate: (bytes) => ({ buffer: kernels.buffer, offset: kernels.allocate(bytes) }),
    free: ({ offset }) => kernels.free(offset),
  };
}

/** When it is tfjs's current backend. */
export function runningWasm(kernels: WasmKernels, threads: number): RunningBackend {
  kernels.setThreads(threads);
  const started = kernels.startThreads();
  const backend = tf.backend();
  if (!(backend instanceof NativeBackend))
    throw new Error('internal: the current backend is not the one of WebAssembly');
  return {
    description: `wasm, ${threadsInWords(started, threads)}`,
    threads: started,
    isa: null,
    memory: () => {
      const { peakBytes } = backend.poolStatistics();
      return { bytesInUse: tf.memory().numBytes, peakBytes: Math.max(peakBytes, tf.memory().numBytes) };
    },
  };
}

/**
 * Makes it the current backend, where threads begin only when the event loop turns, as in a browser.
 *
 * @returns how many threads there are.
 */
export async function useWasm(kernels: WasmKernels, threads: number): Promise<number> {
  registerWasm(kernels);
  kernels.setThreads(threads);
  await kernels.gatherThreads();
  await tf.setBackend(WASM);
  return runningWasm(kernels, kernels.threads).threads;
}
