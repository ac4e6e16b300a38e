/** The `wasm` backend: the kernels of `native` compiled to WebAssembly, for machines without a compiler. */

import * as tf from '@tensorflow/tfjs-core';
import { type Found, found } from '../../core/found.ts';
import { type LoadedBackend, type RunningBackend, threadsInWords } from '../backend.ts';
import { NativeBackend } from '../native/backend.ts';
import { NATIVE } from '../native/kernels/kernel.ts';
import { NATIVE_KERNELS } from '../native/kernels/table.ts';
import type { MemorySource } from '../native/memory-pool.ts';
import { registerNativeKernels } from '../native/register.ts';
import { startKernels, wasmDetail } from './start-kernels.ts';
import { addonOf, type WasmKernels } from './wasm-addon.ts';

const WASM = 'wasm';
/** It is chosen by name only. */
const PRIORITY = 0;

let opened: Found<LoadedBackend> | undefined;

export function openWasm(): Found<LoadedBackend> {
  opened ??= open();
  return opened;
}

function open(): Found<LoadedBackend> {
  const started = startKernels();
  if (!started.ok) return started;
  const kernels = started.value;
  registerNativeKernels();
  tf.copyRegisteredKernels(NATIVE, WASM);
  tf.registerBackend(WASM, () => new NativeBackend(addonOf(kernels), memoryOf(kernels)), PRIORITY);
  return found({
    isGpu: false,
    device: 'the processor, WebAssembly',
    detail: wasmDetail(kernels),
    kernels: NATIVE_KERNELS,
    start: (threads) => start(kernels, threads),
  });
}

/** Results lie in the module's memory, so that kernels use them where they are. */
function memoryOf(kernels: WasmKernels): MemorySource {
  return {
    allocate: (bytes) => ({ buffer: kernels.buffer, offset: kernels.allocate(bytes) }),
    free: ({ offset }) => kernels.free(offset),
  };
}

function start(kernels: WasmKernels, threads: number): RunningBackend {
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
