/**
 * PyTorch checkpoints without Python: the ZIP format (since 1.6) and the legacy one, a row of pickles with the storages behind
 * them. Nothing is executed: of classes, only those of plain data and tensors are read, others stay unknown.
 *
 * Source: torch/serialization.py.
 */

import { ByteReader } from '../../core/byte-reader.ts';
import { decodePickle } from '../../core/pickle.ts';
import { pickleLength } from '../../core/pickle-length.ts';
import { elementCount } from '../../core/shape.ts';
import { bytesPerElement, type Tensor } from '../../core/tensor.ts';
import { BnnError } from '../../errors.ts';
import { createTorchConstructors, type PickledStorage, PickledTensor, storageOf } from './pickled-tensor.ts';
import { findStateDict } from './state-dict.ts';
import { isZip, readZip } from './zip.ts';

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
/** Views may repeat elements; no honest checkpoint repeats them so often. */
const MOST_GROWTH = 8;
const SLACK_BYTES = 1 << 20;

/**
 * Reads a checkpoint.
 *
 * @param bytes  a `.pt`, `.pth` or `.pth.tar` file.
 * @throws {BnnError} E_FORMAT for damaged files, E_UNSUPPORTED where the state_dict should be but is of a class that is not on the
 *   allow-list (a whole pickled module, say), and for tensors of other types.
 */
export function readPytorchCheckpoint(bytes: Uint8Array, at?: string): PytorchCheckpoint {
  const format = isZip(bytes) ? 'zip' : 'legacy';
  try {
    const root = format === 'zip' ? readZipFormat(bytes, at) : readLegacyFormat(bytes, at);
    const { entries, path, metadata } = findStateDict(root, at);
    let left = MOST_GROWTH * bytes.length + SLACK_BYTES;
    const tensors = new Map<string, Tensor>();
    for (const [name, value] of entries) {
      left -= elementCount(value.shape) * bytesPerElement(value.dtype);
      if (left < 0) throw new Error(`tensors of more than ${MOST_GROWTH} times the file`);
      tensors.set(name, value instanceof PickledTensor ? value.toTensor() : value);
    }
    return { format, tensors, path, metadata };
  } catch (error) {
    if (error instanceof BnnError) {
      if (error.at !== undefined || at === undefined) throw error;
      throw new BnnError(error.code, error.message, { at, hint: error.hint, cause: error });
    }
    const text = error instanceof Error ? error.message : String(error);
    throw new BnnError('E_FORMAT', `not a readable PyTorch checkpoint: ${text}`, { at, cause: error });
  }
}

function readZipFormat(bytes: Uint8Array, at: string | undefined): unknown {
  const entries = readZip(bytes, at);
  const pickle = [...entries.keys()].find((name) => name === 'data.pkl' || name.endsWith('/data.pkl'));
  if (pickle === undefined) {
    const isScript = [...entries.keys()].some((name) => name.includes('/code/'));
    throw new BnnError('E_FORMAT', 'the archive holds no data.pkl, so it is no PyTorch checkpoint', {
      at,
      hint: isScript ? 'this is TorchScript: save the state_dict of the model instead' : undefined,
    });
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(order.read()) !== 'little') {
    throw new BnnError('E_UNSUPPORTED', 'the checkpoint was written on a big-endian machine', { at });
  }
  const load = (key: string, size: number): Uint8Array => {
    const entry = entries.get(`${folder}data/${key}`);
    if (entry === undefined) throw new Error(`storage ${key} is missing`);
    if (entry.size !== size) throw new Error(`storage ${key} has ${entry.size} bytes, expected ${size}`);
    return entry.read();
  };
  const known = new Map<string, PickledStorage>();
  return decodePickle(entries.get(pickle)?.read() ?? new Uint8Array(), {
    at,
    keepUnknown: true,
    construct: createTorchConstructors(bytes.length),
    persistentLoad: (id) => {
      const { key, storage } = storageOf(id, load);
      const before = known.get(key);
      if (before !== undefined && before.dtype === storage.dtype && before.length === storage.length) return before;
      known.set(key, storage);
      return storage;
    },
  });
}

function readLegacyFormat(bytes: Uint8Array, at: string | undefined): unknown {
  let rest = bytes;
  const construct = createTorchConstructors(bytes.length);
  const stored = new Map<string, Uint8Array>();
  const storages = new Map<string, PickledStorage>();
  const load = (key: string): Uint8Array => {
    const content = stored.get(key);
    if (content === undefined) throw new Error(`storage ${key} is missing`);
    return content;
  };
  const next = (): unknown => {
    const length = pickleLength(rest, at);
    const value = decodePickle(rest.subarray(0, length), {
      at,
      keepUnknown: true,
      construct,
      persistentLoad: (id) => {
        const { key, storage } = storageOf(id, load);
        const before = storages.get(key);
        if (before !== undefined) return before;
        storages.set(key, storage);
        return storage;
      },
    });
    rest = rest.subarray(length);
    return value;
  };
  if (next() !== MAGIC) throw notTorch(at);
  const protocol = next();
  if (protocol !== PROTOCOL)
    throw new BnnError('E_UNSUPPORTED', `protocol ${String(protocol)} of PyTorch, expected ${PROTOCOL}`, { at });
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
      throw new Error(`storage ${String(key)} belongs to no tensor`);
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
