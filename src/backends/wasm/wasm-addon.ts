/**
 * The functions of the native addon, from the same sources compiled to WebAssembly. Arrays that lie in the module's memory are used where
 * they are, others are copied in and, since they may be results, out again. Overlap is not checked: the kernels of the backend never do.
 */

import type { KernelThread, StartedThread } from '../../core/machine/kernel-thread.ts';
import { isOutOfThreads } from '../../core/machine/scarce-threads.ts';
import type { NativeAddon } from '../native/addon.ts';

/** A `WebAssembly.Memory`. */
export interface KernelMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
}

/** As far as it is used here; see `native/wasm/training.cc`. */
interface Exports {
  /** Not where it is shared. */
  readonly memory?: KernelMemory;
  readonly __stack_pointer: { value: number };
  _initialize(): void;
  setUp(): number;
  nameOf(index: number): number;
  argumentBlock(): number;
  problemText(): number;
  call(index: number): number;
  alloc(bytes: number): number;
  free(data: number): void;
  scratchBytes(): number;
  releaseScratch(): void;
}

/** Of a module with threads; see `native/wasm/thread_pool.cc`. */
interface ThreadExports extends Exports {
  setThreads(count: number, callerMayWait: number): void;
  threadStack(index: number): number;
  awaitThreads(count: number, milliseconds: number): number;
  abandon(): void;
}

interface WasmInterface {
  readonly Module: new (bytes: Uint8Array) => object;
  compile(bytes: Uint8Array): Promise<object>;
  /** Sizes in pages of 64 KiB. */
  readonly Memory: new (sizes: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }) => KernelMemory;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
  readonly RuntimeError: new () => Error;
}

export const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: WasmInterface };

/** In the order of `ArgumentKind` in `native/wasm/shim/node/args.h`. */
const KINDS = { missing: 0, number: 1, flag: 2, null: 3, floats: 4, ints: 5 } as const;
const MOST_ARGUMENTS = 16;
/** Bytes of one argument: number f64, kind u32, count u32, address u32, unused. */
const ARGUMENT_BYTES = 24;

type Numbers = Float32Array | Int32Array;
type Argument = number | boolean | null | Numbers;

function kindOf(array: Numbers): number {
  return array instanceof Float32Array ? KINDS.floats : KINDS.ints;
}

/** As `tools/build-wasm.mjs` says. */
const MEMORY_PAGES = 2 ** 15;
/** A machine may be busy. A thread that comes later works nevertheless. */
const PATIENCE_MS = 10_000;

/** What kernels are made of. */
export interface KernelParts {
  /** A compiled `training.wasm`, or `training-threads.wasm` where there are threads. */
  readonly module: object;
  /** Where there are. */
  readonly threads?:
    | { readonly memory: KernelMemory; readonly start: (thread: KernelThread) => StartedThread }
    | undefined;
}

/** An instance of the training module. */
export class WasmKernels {
  readonly #exports: Exports;
  /** Where there are threads. */
  readonly #shared:
    | (NonNullable<KernelParts['threads']> & { readonly exports: ThreadExports; readonly module: object })
    | undefined;
  readonly #threads: StartedThread[] = [];
  #wantedThreads = 1;
  readonly #block: DataView;
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** Index of each function by name. */
  readonly functions: ReadonlyMap<string, number>;

  /** @throws {Error} when WebAssembly or its vector instructions are missing, or there is no room for its memory. */
  constructor({ module, threads }: KernelParts) {
    const memory = threads?.memory;
    this.#exports = new wasm.Instance(module, memory === undefined ? {} : { env: { memory } }).exports as Exports;
    this.#shared = threads && { ...threads, exports: this.#exports as ThreadExports, module };
    this.#exports._initialize();
    const own = memory ?? this.#exports.memory;
    if (own === undefined) throw new Error('internal: the module has no memory');
    this.buffer = own.buffer;
    this.#block = new DataView(this.buffer, this.#exports.argumentBlock(), MOST_ARGUMENTS * ARGUMENT_BYTES);
    this.functions = new Map(
      Array.from({ length: this.#exports.setUp() }, (_, index) => [this.#text(this.#exports.nameOf(index)), index]),
    );
  }

  get hasThreads(): boolean {
    return this.#shared !== undefined;
  }

  /** Threads that work is divided among. */
  get threads(): number {
    return this.#wantedThreads;
  }

  setThreads(count: number): void {
    if (this.#shared === undefined) return;
    this.#wantedThreads = count;
    this.#shared.exports.setThreads(count, 1);
  }

  /** Starts those that are not there yet, and returns how many there are. They keep no process alive. */
  startThreads(): number {
    if (this.#shared === undefined) return 1;
    const { exports } = this.#shared;
    this.#launch();
    const wanted = this.#wantedThreads - 1;
    const end = Date.now() + PATIENCE_MS;
    const expected = Math.min(wanted, this.#threads.length);
    let begun = exports.awaitThreads(0, 0);
    while (begun < expected && Date.now() < end) begun = exports.awaitThreads(expected, end - Date.now());
    return Math.min(begun, wanted) + 1;
  }

  /** Starts them for a caller whose event loop must turn before they can begin, as in a browser; as many as begin are the threads. */
  async gatherThreads(): Promise<void> {
    this.#launch();
    const begun = await Promise.allSettled(this.#threads.map((thread) => thread.begun));
    const failed = begun.findIndex(({ status }) => status === 'rejected');
    this.setThreads(1 + (failed < 0 ? begun.length : failed));
  }

  #launch(): void {
    if (this.#shared === undefined) return;
    const { exports, module, memory, start } = this.#shared;
    try {
      while (this.#threads.length < this.#wantedThreads - 1) {
        const index = this.#threads.length + 1;
        const stack = exports.threadStack(index) >>> 0;
        if (stack === 0) break;
        const thread = start({ module, memory, index, stack });
        thread.begun.catch(() => {});
        this.#threads.push(thread);
      }
    } catch (error) {
      if (!isOutOfThreads(error)) throw error;
    }
  }

  call(index: number, args: readonly Argument[]): number {
    const copied: { readonly array: Numbers; readonly at: number }[] = [];
    const stack = this.#exports.__stack_pointer.value;
    try {
      for (let i = 0; i < MOST_ARGUMENTS; i++) this.#write(i, args[i], copied);
      const result = this.#exports.call(index);
      for (const { array, at } of copied) {
        if (!(array instanceof Int32Array))
          new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(
            new Uint8Array(this.buffer, at, array.byteLength),
          );
      }
      return result;
    } catch (error) {
      this.#exports.__stack_pointer.value = stack;
      if (!(error instanceof wasm.RuntimeError)) throw error;
      this.#shared?.exports.abandon();
      throw this.#explain(error);
    } finally {
      for (const { at } of copied) this.#exports.free(at);
    }
  }

  #write(i: number, argument: Argument | undefined, copied: { readonly array: Numbers; readonly at: number }[]): void {
    const at = i * ARGUMENT_BYTES;
    const block = this.#block;
    if (argument === undefined || argument === null) {
      block.setUint32(at + 8, argument === null ? KINDS.null : KINDS.missing, true);
    } else if (typeof argument === 'number' || typeof argument === 'boolean') {
      block.setFloat64(at, Number(argument), true);
      block.setUint32(at + 8, typeof argument === 'number' ? KINDS.number : KINDS.flag, true);
    } else {
      block.setUint32(at + 8, kindOf(argument), true);
      block.setUint32(at + 12, argument.length, true);
      block.setUint32(at + 16, this.#place(argument, copied), true);
    }
  }

  /** Where the elements are in the module's memory. */
  #place(array: Numbers, copied: { readonly array: Numbers; readonly at: number }[]): number {
    if (array.buffer === this.buffer) return array.byteOffset;
    const at = this.allocate(array.byteLength);
    copied.push({ array, at });
    new Uint8Array(this.buffer, at, array.byteLength).set(
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
    );
    return at;
  }

  /** @throws {RangeError} when there is no memory left, in the words of a failed allocation. */
  allocate(bytes: number): number {
    const at = bytes < this.buffer.byteLength ? this.#exports.alloc(Math.max(bytes, 1)) >>> 0 : 0;
    if (at === 0) throw new RangeError('Array buffer allocation failed');
    return at;
  }

  free(at: number): void {
    this.#exports.free(at);
  }

  scratchBytes(): number {
    return this.#exports.scratchBytes();
  }

  releaseScratch(): void {
    this.#exports.releaseScratch();
  }

  #explain(error: Error): Error {
    const at = this.#exports.problemText();
    const text = this.#text(at);
    new Uint8Array(this.buffer, at, 1)[0] = 0;
    return text === '' ? new RangeError(`Array buffer allocation failed: ${error.message}`) : new RangeError(text);
  }

  #text(at: number): string {
    const bytes = new Uint8Array(this.buffer, at);
    // A copy: browsers decode no shared memory.
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }
}

/** Undefined where there is none, or no room for it. */
export function shareMemory(): KernelMemory | undefined {
  try {
    return new wasm.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
  } catch {
    return undefined;
  }
}

/** The kernels under the interface of the addon. */
export function addonOf(kernels: WasmKernels): NativeAddon {
  const functions = Array.from(kernels.functions, ([name, index]) => [
    name,
    (...args: Argument[]): number => kernels.call(index, args),
  ]);
  return {
    ...(Object.fromEntries(functions) as NativeAddon),
    isa: () => 'wasm',
    isas: () => 'wasm',
    compiledIsas: () => 'wasm',
    setIsa: () => {},
    fasterInBf16: () => false,
    threads: () => kernels.threads,
    setThreads: (count) => kernels.setThreads(count),
    startThreads: () => kernels.startThreads(),
    align: () => 0,
    multiplyAddPeak: () => Number.NaN,
    scratchBytes: () => kernels.scratchBytes(),
    releaseScratch: () => kernels.releaseScratch(),
  };
}
