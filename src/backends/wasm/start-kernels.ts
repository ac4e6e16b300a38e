/** Starts the kernels in WebAssembly in Node, or says why they do not start. */

import { readFileSync } from 'node:fs';
import { type Found, found, obstacle } from '../../core/found.ts';
import { startNodeThread } from '../../core/machine/kernel-thread-io.ts';
import { shareMemory, WasmKernels, wasm } from './wasm-addon.ts';

/** For people. */
export function wasmDetail({ hasThreads }: WasmKernels): string {
  const threads = hasThreads ? 'threads of Node' : 'one thread, for no memory can be shared here';
  return `kernels in WebAssembly, ${threads}; used by itself where there is no native addon`;
}

/** @throws {Error} as `WasmKernels`. */
export function createKernels(): WasmKernels {
  const memory = shareMemory();
  const bytes = readFileSync(new URL(`training${memory === undefined ? '' : '-threads'}.wasm`, import.meta.url));
  const threads = memory && { memory, start: startNodeThread };
  return new WasmKernels({ module: new wasm.Module(bytes), threads });
}

export function startKernels(): Found<WasmKernels> {
  try {
    return found(createKernels());
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return obstacle(`the WebAssembly kernels do not start: ${text}`, 'update Node, or give the process more memory');
  }
}

/** For `bnn doctor`. */
export function inspectWasm(): Found<string> {
  const started = startKernels();
  return started.ok ? found(wasmDetail(started.value)) : started;
}
