/** Starts the kernels in WebAssembly, or says why they do not start. */

import { type Found, found, obstacle } from '../../core/found.ts';
import { WasmKernels } from './wasm-addon.ts';

/** For people. */
export function wasmDetail({ hasThreads }: WasmKernels): string {
  const threads = hasThreads ? 'threads of Node' : 'one thread, for no memory can be shared here';
  return `kernels in WebAssembly, ${threads}; used by itself where there is no native addon`;
}

export function startKernels(): Found<WasmKernels> {
  try {
    return found(new WasmKernels());
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
