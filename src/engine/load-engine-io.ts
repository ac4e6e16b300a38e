/** The WebAssembly modules, from the files beside this one, and threads of Node for them. */

import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { startNodeThread } from '../core/machine/kernel-thread-io.ts';
import { BnnError } from '../errors.ts';
import { MOST_THREADS, shareMemory, type Team } from './engine-threads.ts';
import { type WasmModule, wasm } from './web-assembly.ts';

type ModuleName = 'engine' | 'engine-threads';

const compiled = new Map<ModuleName, Promise<WasmModule>>();

/** Compiled once for all sessions of the process; E_BACKEND when the file is missing. */
export function loadEngineModule(name: ModuleName = 'engine'): Promise<WasmModule> {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const made = compile(name);
  compiled.set(name, made);
  return made;
}

async function compile(name: ModuleName): Promise<WasmModule> {
  try {
    return await wasm.compile(await readFile(new URL(`${name}.wasm`, import.meta.url)));
  } catch (cause) {
    throw new BnnError('E_BACKEND', 'the WebAssembly kernels cannot be loaded', {
      hint: 'install the package anew',
      cause,
    });
  }
}

/** A module, and who works on a session of it. */
export interface NodeEngine {
  readonly module: WasmModule;
  readonly team: Team | undefined;
}

/**
 * The kernels for so many threads; for one where memory cannot be shared.
 *
 * @param threads  0: one for each core.
 * @throws {BnnError} E_USAGE for another number, E_BACKEND when a file is missing.
 */
export async function loadEngine(threads: number): Promise<NodeEngine> {
  const count = threads === 0 ? Math.min(availableParallelism(), MOST_THREADS) : threads;
  if (!Number.isInteger(count) || count < 1 || count > MOST_THREADS) {
    throw new BnnError('E_USAGE', `threads is ${threads}, expected an integer from 0 to ${MOST_THREADS}`);
  }
  const memory = count === 1 ? undefined : shareMemory();
  if (memory === undefined) return { module: await loadEngineModule(), team: undefined };
  return {
    module: await loadEngineModule('engine-threads'),
    team: { threads: count, memory, start: startNodeThread, callerMayWait: true },
  };
}
