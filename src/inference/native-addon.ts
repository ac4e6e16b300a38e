/** Loads the addon that drives onnxruntime (`bnn_ort.node`), and finds the runtime that it opens and our operator library. */

import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Found, found, obstacle } from '../core/found.ts';
import { assertCompleteLibrary } from '../core/machine/complete-library-io.ts';
import { loadNativeFile } from '../core/machine/native-file-io.ts';
import { isRuntimeLibrary } from '../core/machine/native-files.ts';
import { resolvePeer } from '../core/machine/peers-io.ts';
import { messageOf } from './error-text.ts';

/** A loaded model, inside the addon. */
export type OrtHandle = object;

/** A tensor as the addon takes it: element type by its number in the ONNX standard. */
export interface OrtFeed {
  readonly type: number;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
}

export interface OrtResult {
  readonly type: number;
  readonly shape: readonly number[];
  readonly data: ArrayBuffer;
}

export interface OrtValueInfo {
  readonly name: string;
  /** 0 for what is no tensor. */
  readonly type: number;
  /** A free size is its name, or -1 when it has none. */
  readonly shape: readonly (number | string)[];
}

export interface OrtSettings {
  /** Path of the onnxruntime library. */
  readonly runtime: string;
  /** Path or bytes. */
  readonly model: string | Uint8Array;
  readonly opsLibrary?: string;
  /** 0: onnxruntime chooses. */
  readonly intraOpThreads?: number;
  readonly interOpThreads?: number;
  readonly optimizationLevel?: number;
  readonly logSeverity?: number;
  readonly profilePrefix?: string;
  readonly config?: Readonly<Record<string, string>>;
}

/**
 * What the addon exports (native/node_ort/binding.cc). Promises are settled by work off the event loop. Failures are Errors whose `code`
 * is `runtime`, `ops`, `model`, `run` or `usage`.
 */
export interface OrtAddon {
  open(runtime: string): { readonly version: string; readonly apiVersion: number };
  create(settings: OrtSettings): Promise<OrtHandle>;
  inputs(handle: OrtHandle): OrtValueInfo[];
  outputs(handle: OrtHandle): OrtValueInfo[];
  run(
    handle: OrtHandle,
    names: readonly string[],
    feeds: readonly OrtFeed[],
    outputNames: readonly string[],
  ): Promise<OrtResult[]>;
  /** Milliseconds of each of `runs` runs in a row, results dropped. */
  time(
    handle: OrtHandle,
    names: readonly string[],
    feeds: readonly OrtFeed[],
    outputNames: readonly string[],
    runs: number,
  ): Promise<Float64Array>;
  /** Path of the profile. */
  endProfiling(handle: OrtHandle): string;
  /** Frees the session once no run needs it; harmless when repeated. */
  dispose(handle: OrtHandle): Promise<void>;
  /** How many threads the system would start now, up to `count`. */
  startableThreads(count: number): number;
  popcountRows(): string[];
  /** The row of binary kernels in use where BNN_KERNEL is `forced` (empty: not set). */
  popcountRow(forced: string): string;
  /** Bits per second of xor, population count and add in registers, on several threads together. */
  popcountLimit(row: string, threads: number, milliseconds: number): Promise<number>;
}

export interface OrtBinding {
  readonly addon: OrtAddon;
  /** Path of the addon. */
  readonly path: string;
  /** Path of the onnxruntime library that onnxruntime-node ships. */
  readonly runtime: string;
  /** Of that library. */
  readonly version: string;
}

let binding: Found<OrtBinding> | undefined;

/** Loads the addon and opens onnxruntime once per process; a failure is returned, not thrown. */
export function loadOrtAddon(): Found<OrtBinding> {
  binding ??= load();
  return binding;
}

function load(): Found<OrtBinding> {
  const addon = loadNativeFile('session', ({ path }) => createRequire(import.meta.url)(path) as OrtAddon);
  if (!addon.ok) return addon;
  const runtime = findRuntime();
  if (!runtime.ok) return runtime;
  try {
    assertCompleteLibrary(runtime.value);
    const { version } = addon.value.value.open(runtime.value);
    return found({ addon: addon.value.value, path: addon.value.file.path, runtime: runtime.value, version });
  } catch (error) {
    return obstacle(`onnxruntime does not load: ${messageOf(error)}`, 'bnn setup onnxruntime');
  }
}

/** The addon must open the very file that onnxruntime-node links to: the process then has one onnxruntime, not two. */
function findRuntime(): Found<string> {
  const entry = resolvePeer('onnxruntime', 'onnxruntime-node');
  if (entry === null) return obstacle('onnxruntime-node is not installed', 'bnn setup onnxruntime');
  const bin = join(dirname(entry), '..', 'bin');
  for (const version of listFolder(bin).filter((name) => name.startsWith('napi-v'))) {
    const folder = join(bin, version, process.platform, process.arch);
    const name = listFolder(folder).find(isRuntimeLibrary);
    if (name !== undefined) return found(join(folder, name));
  }
  return obstacle(`onnxruntime-node has no library for ${process.platform} on ${process.arch}`, 'use --engine wasm');
}

function listFolder(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : [];
}

/** Path of the library with the kernels of the `bnn` operators, which any onnxruntime can register. */
export function findOpsLibrary(): Found<string> {
  const library = loadNativeFile('operators', ({ path }) => {
    if (!existsSync(path)) throw new Error(`${path} does not exist`);
  });
  return library.ok ? found(library.value.file.path) : library;
}
