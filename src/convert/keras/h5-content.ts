/**
 * The tensors of an HDF5 file and the names of Keras's layers, read with h5wasm: the C library in WebAssembly, on a file system in memory, so that a file that names
 * other files reaches nothing. It runs in a worker thread: see `h5-thread.ts`.
 */

import { contentBudget, type MemoryBudget } from '../../core/formats/memory-budget.ts';
import { elementCount } from '../../core/tensors/shape.ts';
import { bytesPerElement, type Dtype } from '../../core/tensors/tensor.ts';

/** What is used of h5wasm; it is an optional package, so its own types may be missing. */
export interface H5Library {
  readonly ready: Promise<H5Module>;
  readonly File: new (path: string, mode: 'r') => H5File;
}

interface H5Module {
  readonly FS: { writeFile(path: string, bytes: Uint8Array): void; unlink(path: string): void };
  /** Replaced when the memory grows. */
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
  get_dataset_data(file: bigint, path: string, count: null, offset: null, strides: null, address: bigint): number;
}

interface H5File {
  readonly file_id: bigint;
  /** Of everything in the file, without the leading `/`. */
  paths(): string[];
  get(path: string): H5Dataset | H5Group | null;
  close(): number;
}

interface H5Group {
  readonly type: 'Group';
  readonly attrs: Readonly<Record<string, { readonly value: unknown } | undefined>>;
}

interface H5Dataset {
  readonly type: 'Dataset';
  readonly file_id: bigint;
  readonly path: string;
  readonly metadata: H5Metadata;
}

interface H5Metadata {
  /** 0: integers, 1: floats. */
  readonly type: number;
  readonly size: number;
  readonly signed: boolean;
  readonly shape: readonly number[] | null;
}

export interface H5Tensor {
  /** Names of the groups and of the data set, joined by `/`. */
  readonly path: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Little-endian. */
  readonly bytes: Uint8Array;
}

export interface H5Content {
  readonly tensors: readonly H5Tensor[];
  /** Attribute `name` of the group `vars` in a group, by the path of that group: so Keras 3 tells the names of layers. */
  readonly names: readonly (readonly [group: string, name: string])[];
}

const PATH = '/input.h5';

/** @throws {Error} for a damaged file, with whatever the library says. */
export async function readContent(library: H5Library, bytes: Uint8Array): Promise<H5Content> {
  const module = await library.ready;
  module.FS.writeFile(PATH, bytes);
  const file = new library.File(PATH, 'r');
  try {
    if (file.file_id < 0n) throw new Error('the head of the file is damaged');
    const tensors = [...tensorsOf(module, file, contentBudget(bytes.length))];
    return { tensors, names: [...namesOf(file)] };
  } finally {
    if (file.file_id >= 0n) file.close();
    module.FS.unlink(PATH);
  }
}

function* tensorsOf(module: H5Module, root: H5File, budget: MemoryBudget): Generator<H5Tensor> {
  // Each object once, whatever circles its links form.
  for (const path of root.paths()) {
    const entity = root.get(path);
    if (entity?.type !== 'Dataset') continue;
    const { metadata } = entity;
    const dtype = dtypeOf(metadata);
    if (dtype === null || metadata.shape === null) continue;
    const size = elementCount(metadata.shape) * bytesPerElement(dtype);
    budget.charge(size);
    yield { path, dtype, shape: [...metadata.shape], bytes: dataOf(module, entity, size) };
  }
}

function* namesOf(root: H5File): Generator<readonly [group: string, name: string]> {
  for (const path of root.paths()) {
    if (!path.endsWith('/vars')) continue;
    const entity = root.get(path);
    const name = entity?.type === 'Group' ? entity.attrs['name']?.value : undefined;
    if (typeof name === 'string') yield [path.slice(0, -'/vars'.length), name];
  }
}

const FLOATS: Readonly<Record<number, Dtype>> = { 2: 'float16', 4: 'float32', 8: 'float64' };
const SIGNED: Readonly<Record<number, Dtype>> = { 1: 'int8', 2: 'int16', 4: 'int32', 8: 'int64' };
const UNSIGNED: Readonly<Record<number, Dtype>> = { 1: 'uint8', 2: 'uint16', 4: 'uint32', 8: 'uint64' };

/** Null for strings, compound types and whatever else is no tensor. */
function dtypeOf({ type, size, signed }: H5Metadata): Dtype | null {
  if (type === 1) return FLOATS[size] ?? null;
  return type === 0 ? ((signed ? SIGNED : UNSIGNED)[size] ?? null) : null;
}

/** In the machine's order, whatever the file's is. The library's own getter knows no half precision. */
function dataOf(module: H5Module, dataset: H5Dataset, size: number): Uint8Array {
  const address = module._malloc(Math.max(size, 1));
  if (address === 0) throw new Error(`no memory for ${size} bytes`);
  try {
    const status = module.get_dataset_data(dataset.file_id, dataset.path, null, null, null, BigInt(address));
    if (status < 0) throw new Error(`the data of ${dataset.path} are damaged`);
    return module.HEAPU8.slice(address, address + size);
  } finally {
    module._free(address);
  }
}
