/**
 * PyTorch checkpoints without Python: the ZIP format (since 1.6) and the legacy one, a row of pickles with the storages behind
 * them. Nothing is executed: of classes, only those of plain data and tensors are read, others stay unknown.
 *
 * Source: torch/serialization.py.
 */

import { describeValue } from '../../core/describe-value.ts';
import { ByteReader } from '../../core/formats/byte-reader.ts';
import { contentBudget, type MemoryBudget } from '../../core/formats/memory-budget.ts';
import { isZip, readZip, type ZipEntry } from '../../core/formats/zip.ts';
import { decodePickle, type PickleOptions } from '../../core/pickle/pickle.ts';
import { pickleBudget } from '../../core/pickle/pickle-cost.ts';
import { pickleLength } from '../../core/pickle/pickle-length.ts';
import { elementCount } from '../../core/tensors/shape.ts';
import { bytesPerElement, type Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import {
  type LoadStorage,
  type PickledStorage,
  PickledTensor,
  persistentLoader,
  torchConstructor,
} from './pickled-tensor.ts';
import { findStateDict } from './state-dict.ts';

export interface PytorchCheckpoint {
  readonly format: 'zip' | 'legacy';
  /** The tensors of the state_dict, in its order. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Where in the file the state_dict was, e.g. `state_dict`; empty when it is the whole. */
  readonly path: string;
  /** Plain values beside it: epoch, architecture … */
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
/** Whatever the type, elements may become float32. */
const LEAST_ELEMENT_BYTES = 4;

/**
 * Reads a checkpoint.
 *
 * @param bytes  a `.pt`, `.pth` or `.pth.tar` file.
 * @throws {BnnError} E_FORMAT for damaged files and for those that claim much more memory than their size, E_UNSUPPORTED where the
 *   state_dict should be but is of a class that is not on the allow-list (a whole pickled module, say), and for tensors of other types.
 */
export function readPytorchCheckpoint(bytes: Uint8Array, at?: string): PytorchCheckpoint {
  const format = isZip(bytes) ? 'zip' : 'legacy';
  try {
    const root = format === 'zip' ? readZipFormat(bytes, at) : readLegacyFormat(bytes, at);
    const { entries, path, metadata } = findStateDict(root, at);
    const budget = contentBudget(bytes.length);
    const tensors = new Map<string, Tensor>();
    for (const [name, value] of entries) {
      budget.charge(elementCount(value.shape) * Math.max(LEAST_ELEMENT_BYTES, bytesPerElement(value.dtype)));
      tensors.set(name, value instanceof PickledTensor ? value.toTensor() : value);
    }
    return { format, tensors, path, metadata };
  } catch (error) {
    if (error instanceof BnnError) {
      if (error.at !== undefined || at === undefined) throw error;
      throw new BnnError(error.code, error.message, { at, hint: error.hint, cause: error });
    }
    const text = error instanceof Error ? error.message : 'it cannot be read';
    throw new BnnError('E_FORMAT', `not a readable PyTorch checkpoint: ${text}`, { at, cause: error });
  }
}

function readZipFormat(bytes: Uint8Array, at: string | undefined): unknown {
  const entries = readZip(bytes, at);
  const pickle = [...entries.values()].find(({ name }) => name === 'data.pkl' || name.endsWith('/data.pkl'));
  if (pickle === undefined) {
    throw new BnnError('E_FORMAT', 'the archive holds no data.pkl, so it is no PyTorch checkpoint', { at });
  }
  // What is unpacked, and how often, is up to the pickle.
  const content = contentBudget(bytes.length);
  const unpack = (entry: ZipEntry): Uint8Array => {
    content.charge(entry.size);
    return entry.read();
  };
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(unpack(order)) !== 'little') {
    throw new BnnError('E_UNSUPPORTED', 'the checkpoint was written on a big-endian machine', { at });
  }
  const load: LoadStorage = (key, size) => {
    const entry = entries.get(`${folder}data/${key}`);
    if (entry === undefined) throw new Error(`storage ${key} is missing`);
    if (entry.size !== size) throw new Error(`storage ${key} has ${entry.size} bytes, expected ${size}`);
    return unpack(entry);
  };
  return decodePickle(unpack(pickle), {
    at,
    budget: pickleBudget(bytes.length),
    keepUnknown: true,
    construct: torchConstructor,
    persistentLoad: persistentLoader(new Map(), load),
  });
}

/** @param nested  for a storage within a pickle that pickle.dump wrote: what that may cost. */
function readLegacyFormat(bytes: Uint8Array, at: string | undefined, nested?: MemoryBudget): unknown {
  let rest = bytes;
  const budget = nested ?? pickleBudget(bytes.length);
  const construct: PickleOptions['construct'] = (module, name) => {
    const isStorage = nested === undefined && module === 'torch.storage' && name === '_load_from_bytes';
    if (!isStorage) return torchConstructor(module, name);
    return ([content]) => {
      if (!(content instanceof Uint8Array)) throw new Error('a storage that is no bytes');
      return readLegacyFormat(content, at, budget);
    };
  };
  const stored = new Map<string, Uint8Array>();
  const storages = new Map<string, PickledStorage>();
  const persistentLoad = persistentLoader(storages, (key) => {
    const content = stored.get(key);
    if (content === undefined) throw new Error(`storage ${key} is missing`);
    return content;
  });
  const next = (): unknown => {
    const pickle = rest.subarray(0, pickleLength(rest, at));
    const value = decodePickle(pickle, { at, budget, keepUnknown: true, construct, persistentLoad });
    rest = rest.subarray(pickle.length);
    return value;
  };
  const first = next();
  // By pickle.dump: a dict of NumPy arrays or tensors.
  if (first !== MAGIC && first instanceof Map) return first;
  if (first !== MAGIC) throw notTorch(at);
  const protocol = next();
  if (protocol !== PROTOCOL) {
    const code = typeof protocol === 'number' ? 'E_UNSUPPORTED' : 'E_FORMAT';
    throw new BnnError(code, `protocol ${describeValue(protocol)} of PyTorch, expected ${PROTOCOL}`, { at });
  }
  const system = next();
  if (system instanceof Map && system.get('little_endian') === false) {
    throw new BnnError('E_UNSUPPORTED', 'the checkpoint was written on a big-endian machine', { at });
  }
  const root = next();
  const keys = next();
  if (!Array.isArray(keys)) throw new Error('no list of storages');
  const reader = new ByteReader(rest, at);
  for (const key of keys as unknown[]) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (typeof key !== 'string' || storage === undefined)
      throw new Error(`storage ${describeValue(key)} belongs to no tensor`);
    const length = reader.uint64();
    if (length !== storage.length) throw new Error(`storage ${key} has ${length} elements, expected ${storage.length}`);
    stored.set(key, reader.bytes(length * bytesPerElement(storage.dtype)));
  }
  return root;
}

function notTorch(at: string | undefined): BnnError {
  return new BnnError('E_FORMAT', 'neither a ZIP archive nor a pickle of PyTorch', {
    at,
    hint: 'give a .pt or .pth file written by torch.save, or an .onnx file',
  });
}
