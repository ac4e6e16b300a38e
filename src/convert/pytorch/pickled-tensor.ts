/** How PyTorch tensors appear in pickles (torch/_utils.py, torch/storage.py): an allow-list for `decodePickle`. */

import { describeValue } from '../../core/describe-value.ts';
import { numpyConstructor, PickledArray } from '../../core/pickle/numpy-pickle.ts';
import { PickleGlobal, type PickleStateful } from '../../core/pickle/pickle.ts';
import type { PickleConstructor } from '../../core/pickle/pickle-builtins.ts';
import { elementCount } from '../../core/tensors/shape.ts';
import { bytesPerElement, createArray, type Dtype, fromBytes, type Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';

const STORAGES: ReadonlyMap<string, Dtype> = new Map([
  ['FloatStorage', 'float32'],
  ['DoubleStorage', 'float64'],
  ['HalfStorage', 'float16'],
  ['BFloat16Storage', 'bfloat16'],
  ['ByteStorage', 'uint8'],
  ['CharStorage', 'int8'],
  ['ShortStorage', 'int16'],
  ['IntStorage', 'int32'],
  ['LongStorage', 'int64'],
  ['BoolStorage', 'bool'],
  ['UntypedStorage', 'uint8'],
]);

const DTYPES: ReadonlyMap<string, Dtype> = new Map([
  ...[
    'float32',
    'float64',
    'float16',
    'bfloat16',
    'uint8',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint16',
    'uint32',
    'uint64',
    'bool',
  ].map((name): [string, Dtype] => [name, name as Dtype]),
  ['float', 'float32'],
  ['double', 'float64'],
  ['half', 'float16'],
  ['long', 'int64'],
]);

/** The elements that tensors are views of. */
export class PickledStorage {
  readonly dtype: Dtype;
  /** Elements that the pickle claims. */
  readonly length: number;
  readonly #load: () => Uint8Array;
  #bytes: Uint8Array | undefined;

  constructor(dtype: Dtype, length: number, load: () => Uint8Array) {
    this.dtype = dtype;
    this.length = length;
    this.#load = load;
  }

  /** @throws {BnnError} E_FORMAT when there are fewer bytes than elements. */
  get bytes(): Uint8Array {
    this.#bytes ??= this.#load();
    return this.#bytes;
  }
}

/** A view of a storage. */
export class PickledTensor {
  readonly storage: PickledStorage;
  readonly dtype: Dtype;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: PickledStorage,
    dtype: Dtype,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  /**
   * The elements in row-major order.
   *
   * @throws {BnnError} E_FORMAT when the view leaves its storage.
   */
  toTensor(): Tensor {
    const size = bytesPerElement(this.dtype);
    const { bytes } = this.storage;
    const count = elementCount(this.shape);
    const last = this.shape.reduce(
      (at, length, axis) => at + Math.max(0, length - 1) * (this.strides[axis] ?? 0),
      this.offset,
    );
    if (count > 0 && !((last + 1) * size <= bytes.length)) {
      throw new Error(`a tensor reaches element ${last} of a storage of ${Math.floor(bytes.length / size)}`);
    }
    if (isDense(this.shape, this.strides)) {
      return fromBytes(this.dtype, this.shape, bytes.subarray(this.offset * size, (this.offset + count) * size));
    }
    const data = createArray(this.dtype, count);
    const target = new Uint8Array(data.buffer);
    const coordinates = this.shape.map(() => 0);
    let from = this.offset;
    for (let i = 0; i < count; i++) {
      // A storage need not be aligned.
      for (let byte = 0; byte < size; byte++) target[i * size + byte] = bytes[from * size + byte] ?? 0;
      for (let axis = this.shape.length - 1; axis >= 0; axis--) {
        const stride = this.strides[axis] ?? 0;
        const next = (coordinates[axis] ?? 0) + 1;
        from += stride;
        coordinates[axis] = next;
        if (next < (this.shape[axis] ?? 1)) break;
        coordinates[axis] = 0;
        from -= next * stride;
      }
    }
    return { dtype: this.dtype, shape: this.shape, data } as Tensor;
  }
}

function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis] ?? 1;
  }
  return true;
}

/** An object that does not matter: an `argparse.Namespace`, a path. */
class Inert implements PickleStateful {
  setState(): void {}
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
/** As PyTorch has it. */
const MOST_DIMENSIONS = 64;
const isSizes = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length <= MOST_DIMENSIONS && value.every(isSize);

function rebuildTensor([storage, offset, shape, strides]: readonly unknown[], dtype?: Dtype): PickledTensor {
  if (!(storage instanceof PickledStorage)) throw new Error('a tensor without a storage');
  if (!isSize(offset) || !isSizes(shape) || !isSizes(strides) || shape.length !== strides.length) {
    throw new Error('a tensor whose offset, shape or strides are no sizes');
  }
  return new PickledTensor(storage, dtype ?? storage.dtype, offset, [...shape], [...strides]);
}

/** (function, type, arguments, state): a parameter with attributes of its own, which do not matter here. */
function rebuildFromType([callee, , args]: readonly unknown[]): unknown {
  const isNested = callee instanceof PickleGlobal && callee.name === '_rebuild_from_type_v2';
  if (!(callee instanceof PickleGlobal) || isNested || !Array.isArray(args))
    throw new Error('a tensor without a function that makes it');
  return callee.construct(args as unknown[]);
}

function first(args: readonly unknown[]): unknown {
  return args[0];
}

const inert: PickleConstructor = () => new Inert();

/** A type that appears as a value only. */
const marker: PickleConstructor = () => {
  throw new Error('a type is called that stands for itself');
};

const KNOWN: ReadonlyMap<string, PickleConstructor> = new Map<string, PickleConstructor>([
  ['torch._utils._rebuild_tensor', (args) => rebuildTensor(args)],
  ['torch._utils._rebuild_tensor_v2', (args) => rebuildTensor(args)],
  [
    'torch._utils._rebuild_tensor_v3',
    (args) => {
      const dtype = args[6] instanceof PickleGlobal ? DTYPES.get(args[6].name) : undefined;
      if (dtype === undefined) throw new BnnError('E_UNSUPPORTED', 'a tensor of an unknown type');
      return rebuildTensor(args, dtype);
    },
  ],
  ['torch._utils._rebuild_parameter', first],
  ['torch._utils._rebuild_parameter_with_state', first],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['torch.nn.parameter.Parameter', first],
  ['torch.Tensor', marker],
  ['torch.Size', (args) => first(args) ?? []],
  ['torch.device', inert],
  ['collections.defaultdict', () => new Map()],
  ['collections.Counter', () => new Map()],
  ['argparse.Namespace', inert],
  ...['PosixPath', 'WindowsPath', 'PurePosixPath', 'PureWindowsPath', 'Path'].flatMap(
    (name): [string, PickleConstructor][] => [
      [`pathlib.${name}`, inert],
      [`pathlib._local.${name}`, inert],
    ],
  ),
  ['builtins.dict', () => new Map()],
  ['builtins.list', (args) => (Array.isArray(args[0]) ? args[0] : [])],
  ['builtins.int', first],
  ['builtins.float', first],
  ...[...DTYPES.keys()].map((name): [string, PickleConstructor] => [`torch.${name}`, marker]),
  ...[...STORAGES.keys()].flatMap((name): [string, PickleConstructor][] => [
    [`torch.${name}`, marker],
    [`torch.cuda.${name}`, marker],
    [`torch.storage.${name}`, marker],
  ]),
]);

/** Accepts tensors and the plain data that checkpoints hold beside them. */
export function torchConstructor(module: string, name: string): PickleConstructor | undefined {
  return KNOWN.get(`${module === '__builtin__' ? 'builtins' : module}.${name}`) ?? numpyConstructor(module, name);
}

/** Ends with the bytes of a storage. */
export type LoadStorage = (key: string, bytes: number) => Uint8Array;

/**
 * What persistent ids stand for: ('storage', type, key, device, elements) for a storage, the same one for the same key; in old
 * files also ('module', class, source file, source text) for the class of a whole pickled module.
 *
 * @param storages  by key; those that are new are added.
 */
export function persistentLoader(
  storages: Map<string, PickledStorage>,
  load: LoadStorage,
): (id: unknown) => PickledStorage | PickleGlobal {
  return (id) => {
    const [kind, type, key, , length, view] = Array.isArray(id) ? (id as unknown[]) : [];
    if (kind === 'module' && type instanceof PickleGlobal) return type;
    if (kind !== 'storage' || !(type instanceof PickleGlobal) || typeof key !== 'string' || !isSize(length)) {
      throw new Error('a persistent id that is no storage');
    }
    if (Array.isArray(view)) throw new BnnError('E_UNSUPPORTED', 'a storage that is a view of another one');
    const dtype = STORAGES.get(type.name);
    if (dtype === undefined) {
      throw new BnnError('E_UNSUPPORTED', `a storage of type ${describeValue(`${type.module}.${type.name}`)}`);
    }
    const before = storages.get(key);
    if (before !== undefined) {
      if (before.dtype === dtype && before.length === length) return before;
      throw new Error(`storage ${describeValue(key)} has two types or sizes`);
    }
    const bytes = length * bytesPerElement(dtype);
    const storage = new PickledStorage(dtype, length, () => load(key, bytes));
    storages.set(key, storage);
    return storage;
  };
}

/** A tensor or a NumPy array as a tensor; null for anything else. */
export function tensorOf(value: unknown): PickledTensor | Tensor | null {
  if (value instanceof PickledTensor) return value;
  return value instanceof PickledArray && value.isNumeric ? value.tensor : null;
}
