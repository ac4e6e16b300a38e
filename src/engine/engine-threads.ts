/** Several threads for one instance of the kernels. */

import type { KernelThread, StartedThread } from '../core/machine/kernel-thread.ts';
import { type WasmMemory, type WasmModule, wasm } from './web-assembly.ts';

/** Who works on a session. */
export interface Team {
  /** The calling thread is one of them. */
  readonly threads: number;
  readonly memory: WasmMemory;
  readonly start: (thread: KernelThread) => StartedThread;
  /** Whether the calling thread may wait; the main thread of a browser may not. */
  readonly callerMayWait: boolean;
}

/** What a module with threads has besides; documented in `native/wasm/thread_pool.cc`. */
export interface ThreadExports {
  setThreads(count: number, callerMayWait: number): void;
  threadStack(index: number): number;
  endThreads(): void;
}

/** What the kernels take. */
export const MOST_THREADS = 64;

const PAGE_BYTES = 2 ** 16;
/** As `tools/build-wasm.mjs` says. */
const INITIAL_BYTES = 2 ** 20;
/** Addresses must be reserved for all of it: telephones have fewer. */
const MOST_BYTES = [2 ** 32, 2 ** 31, 2 ** 30, 2 ** 29];
/** A machine may be busy. A thread that comes later works nevertheless. */
const PATIENCE_MS = 10_000;

/** Memory that threads share; undefined where there is none. */
export function shareMemory(): WasmMemory | undefined {
  for (const bytes of MOST_BYTES) {
    try {
      return new wasm.Memory({ initial: INITIAL_BYTES / PAGE_BYTES, maximum: bytes / PAGE_BYTES, shared: true });
    } catch {
      // Less, then.
    }
  }
  return undefined;
}

/** Sessions that nobody disposed of. */
const FORGOTTEN = new FinalizationRegistry<() => void>((end) => end());

export class EngineThreads {
  readonly #calls: ThreadExports;
  readonly #started: StartedThread[] = [];
  #problem: string | undefined;

  constructor(calls: ThreadExports, module: WasmModule, { threads, memory, start, callerMayWait }: Team) {
    this.#calls = calls;
    calls.setThreads(threads, Number(callerMayWait));
    try {
      for (let index = 1; index < threads; index++) {
        const stack = calls.threadStack(index) >>> 0;
        if (stack === 0) throw new Error('no memory left');
        const thread = start({ module, memory, index, stack });
        thread.begun.catch(() => {});
        this.#started.push(thread);
      }
    } catch (error) {
      this.#problem = reasonOf(error);
    }
    const started = this.#started;
    FORGOTTEN.register(this, () => void endAll(calls, started), this);
  }

  /** Waits for them; returns how many there are, the calling one included, and why not more. */
  async gather(): Promise<{ readonly count: number; readonly problem: string | undefined }> {
    const results = await Promise.allSettled(this.#started.map(({ begun }) => withPatience(begun)));
    const failure = results.find((result) => result.status === 'rejected');
    const problem = failure === undefined ? this.#problem : reasonOf(failure.reason);
    return { count: 1 + results.filter(({ status }) => status === 'fulfilled').length, problem };
  }

  async end(): Promise<void> {
    FORGOTTEN.unregister(this);
    await endAll(this.#calls, this.#started);
  }
}

async function endAll(calls: ThreadExports, started: StartedThread[]): Promise<void> {
  calls.endThreads();
  await Promise.all(started.splice(0).map((thread) => thread.end()));
}

function withPatience(begun: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`a thread did not start in ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  });
  return Promise.race([begun, late]).finally(() => clearTimeout(timer));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
