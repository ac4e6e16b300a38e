/** The kernels as a WebAssembly module: an instance with memory of its own. Built from `native/` by `tools/build-wasm.mjs`. */

import { BnnError } from '../errors.ts';
import { EngineThreads, type Team, type ThreadExports } from './engine-threads.ts';
import { type WasmMemory, type WasmModule, wasm } from './web-assembly.ts';

/** Offset into the memory of an instance; 0 is no place. */
export type Pointer = number;

/** Documented in `native/wasm`. */
export interface EngineExports {
  /** Not where it is shared. */
  readonly memory?: WasmMemory;
  _initialize(): void;
  alloc(bytes: number): Pointer;
  free(data: Pointer): void;
  layer(kind: number, shape: Pointer, weights: Pointer): Pointer;
  layerFree(layer: Pointer): void;
  layerVector(layer: Pointer, which: number, values: Pointer): void;
  layerRun(
    layer: Pointer,
    batch: number,
    height: number,
    width: number,
    x: Pointer,
    residual: Pointer,
    relu: number,
    y: Pointer,
  ): void;
  stem(shape: Pointer, facts: Pointer, weights: Pointer, bias: Pointer, scale: Pointer, shift: Pointer): Pointer;
  stemRun(stem: Pointer, batch: number, height: number, width: number, x: Pointer, outSize: number, y: Pointer): void;
  sign(x: Pointer, count: number, y: Pointer): void;
  maxPool(window: Pointer, planes: number, x: Pointer, y: Pointer): void;
  averagePool(window: Pointer, pads: Pointer, countPadding: number, planes: number, x: Pointer, y: Pointer): void;
  planeMean(x: Pointer, planes: number, size: number, y: Pointer): void;
  planeAffine(
    x: Pointer,
    planes: number,
    size: number,
    channels: number,
    scale: Pointer,
    bias: Pointer,
    y: Pointer,
  ): void;
  planeSlope(x: Pointer, planes: number, size: number, channels: number, slope: Pointer, y: Pointer): void;
  relu(x: Pointer, count: number, y: Pointer): void;
  clip(x: Pointer, count: number, least: number, most: number, y: Pointer): void;
  combine(which: number, a: Pointer, b: Pointer, count: number, y: Pointer): void;
}

export class Engine {
  readonly calls: EngineExports;
  readonly #memory: WasmMemory;
  readonly #threads: EngineThreads | undefined;

  /**
   * @param module  with threads when there is a team.
   * @throws {BnnError} E_BACKEND where WebAssembly's vector instructions are missing.
   */
  static async create(module: WasmModule, team?: Team): Promise<Engine> {
    try {
      const imports = team === undefined ? {} : { env: { memory: team.memory } };
      return new Engine((await wasm.instantiate(module, imports)).exports, module, team);
    } catch (cause) {
      throw new BnnError('E_BACKEND', `the WebAssembly kernels do not start: ${messageOf(cause)}`, {
        hint: /memory/i.test(messageOf(cause))
          ? 'they need addresses for their memory: raise the limit (ulimit -v), or end sessions that are not needed'
          : 'they need the vector instructions of WebAssembly (every browser since 2023, Node since 16)',
        cause,
      });
    }
  }

  private constructor(exports: unknown, module: WasmModule, team: Team | undefined) {
    this.calls = exports as EngineExports;
    const memory = team?.memory ?? this.calls.memory;
    if (memory === undefined) throw new Error('internal: the module needs memory that threads share');
    this.#memory = memory;
    this.calls._initialize();
    this.#threads = team === undefined ? undefined : new EngineThreads(exports as ThreadExports, module, team);
  }

  /** Waits for the threads; returns how many there are, the calling one included, and why not all of the team. */
  async gather(): Promise<{ readonly count: number; readonly problem: string | undefined }> {
    return (await this.#threads?.gather()) ?? { count: 1, problem: undefined };
  }

  /** Ends the threads; nothing may be called afterwards. */
  async end(): Promise<void> {
    await this.#threads?.end();
  }

  /**
   * Memory for `bytes`, contents undefined.
   *
   * @throws {BnnError} E_BACKEND when there is none left.
   */
  allocate(bytes: number): Pointer {
    const data = bytes > MOST_BYTES ? 0 : this.calls.alloc(Math.max(bytes, 1)) >>> 0;
    if (data === 0) {
      throw new BnnError('E_BACKEND', `no ${Math.ceil(bytes / 2 ** 20)} MiB of WebAssembly memory left`, {
        hint: 'run fewer pictures at a time',
      });
    }
    return data;
  }

  /** Copies into memory of the module; free it with `calls.free`. */
  copyIn(data: Uint8Array | Float32Array | Int32Array): Pointer {
    const pointer = this.allocate(data.byteLength);
    this.bytes(pointer, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return pointer;
  }

  /** Views hold until memory grows: take them anew after every call. */
  bytes(at: Pointer, count: number): Uint8Array {
    return new Uint8Array(this.#bufferUntil(at + count), at, count);
  }

  floats(at: Pointer, count: number): Float32Array {
    return new Float32Array(this.#bufferUntil(at + 4 * count), at, count);
  }

  /** Another thread may have grown the memory. */
  #bufferUntil(end: Pointer): ArrayBuffer | SharedArrayBuffer {
    if (end > this.#memory.buffer.byteLength) this.#memory.grow(0);
    return this.#memory.buffer;
  }
}

/** An address has 32 bits. */
const MOST_BYTES = 2 ** 32 - 2 ** 16;

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
