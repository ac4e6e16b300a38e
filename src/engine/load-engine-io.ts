/** The WebAssembly module, from the file beside this one. */

import { readFile } from 'node:fs/promises';
import { BnnError } from '../errors.ts';
import { type WasmModule, wasm } from './web-assembly.ts';

let compiled: Promise<WasmModule> | undefined;

/** Compiled once for all sessions of the process; E_BACKEND when the file is missing. */
export function loadEngineModule(): Promise<WasmModule> {
  compiled ??= compile();
  return compiled;
}

async function compile(): Promise<WasmModule> {
  try {
    return await wasm.compile(await readFile(new URL('engine.wasm', import.meta.url)));
  } catch (cause) {
    throw new BnnError('E_BACKEND', 'the WebAssembly kernels cannot be loaded', {
      hint: 'install the package anew',
      cause,
    });
  }
}
