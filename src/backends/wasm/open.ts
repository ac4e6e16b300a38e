/** The `wasm` backend: the kernels of `native` compiled to WebAssembly, for machines without a compiler. */

import { type Found, found } from '../../core/found.ts';
import type { LoadedBackend } from '../backend.ts';
import { NATIVE_KERNELS } from '../native/kernels/table.ts';
import { registerWasm, runningWasm } from './register-wasm.ts';
import { startKernels, wasmDetail } from './start-kernels.ts';

let opened: Found<LoadedBackend> | undefined;

export function openWasm(): Found<LoadedBackend> {
  opened ??= open();
  return opened;
}

function open(): Found<LoadedBackend> {
  const started = startKernels();
  if (!started.ok) return started;
  const kernels = started.value;
  registerWasm(kernels);
  return found({
    isGpu: false,
    device: 'the processor, WebAssembly',
    detail: wasmDetail(kernels),
    kernels: NATIVE_KERNELS,
    start: (threads) => runningWasm(kernels, threads),
  });
}
