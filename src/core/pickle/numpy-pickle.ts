/** How NumPy arrays appear in pickles (numpy/_core/src/multiarray, `array_reduce`): an allow-list for `decodePickle`. */

import { BnnError } from '../../errors.ts';
import { describeValue } from '../describe-value.ts';
import { permute } from '../tensors/permute.ts';
import { bytesPerElement, type Dtype, fromBytes, type Tensor, toNumbers } from '../tensors/tensor.ts';
import type { PickleStateful } from './pickle.ts';
import type { PickleConstructor } from './pickle-builtins.ts';

const DTYPE_OF: ReadonlyMap<string, Dtype> = new Map([
  ['f4', 'float32'],
  ['f8', 'float64'],
  ['f2', 'float16'],
  ['i1', 'int8'],
  ['u1', 'uint8'],
  ['i2', 'int16'],
  ['u2', 'uint16'],
  ['i4', 'int32'],
  ['u4', 'uint32'],
  ['i8', 'int64'],
  ['u8', 'uint64'],
  ['b1', 'bool'],
]);

/** A NumPy array; its tensor is there once the pickle has set its state. */
export class PickledArray implements PickleStateful {
  #tensor: Tensor | undefined;
  #type: string | undefined;

  /** False for an array of texts, objects, dates: it has no tensor. */
  get isNumeric(): boolean {
    return this.#tensor !== undefined;
  }

  get tensor(): Tensor {
    if (this.#tensor !== undefined) return this.#tensor;
    if (this.#type === undefined) throw new BnnError('E_FORMAT', 'the pickle holds an array without elements');
    throw new BnnError('E_UNSUPPORTED', `an array of NumPy type ${describeValue(this.#type)}`);
  }

  /** State: (version, shape, dtype, is Fortran order, bytes). */
  setState(state: unknown): void {
    if (!Array.isArray(state) || state.length !== 5) throw new Error('the state of an array is not a tuple of 5');
    const [, shape, dtype, fortran, data] = state as unknown[];
    this.fill(data, dtype, shape, fortran === true ? 'F' : 'C');
  }

  /** @param shape  of the elements as they lie; order K takes its axes in the order of `axes`. */
  fill(data: unknown, dtype: unknown, shape: unknown, order: unknown, axes?: unknown): void {
    if (!(dtype instanceof PickledDtype)) throw new Error('an array without a dtype');
    if (!isShape(shape)) throw new Error('the shape of an array is not a tuple of sizes');
    this.#type = dtype.name;
    if (!dtype.isNumber) return;
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    if (!(bytes instanceof Uint8Array)) throw new Error('an array whose elements are not bytes');
    const native = dtype.isSwapped ? swapped(bytes, bytesPerElement(dtype.dtype)) : bytes;
    this.#tensor = fromOrdered(dtype.dtype, shape, native, order, Array.isArray(axes) ? axes : undefined);
  }
}

class PickledDtype implements PickleStateful {
  readonly name: string;
  #order = '<';

  constructor(name: string) {
    this.name = name;
  }

  /** State: (version, byte order, ...). */
  setState(state: unknown): void {
    if (!Array.isArray(state) || typeof state[1] !== 'string')
      throw new Error('the state of a dtype has no byte order');
    this.#order = state[1];
  }

  get isNumber(): boolean {
    return DTYPE_OF.has(this.name);
  }

  get isSwapped(): boolean {
    return this.#order === '>';
  }

  get dtype(): Dtype {
    const dtype = DTYPE_OF.get(this.name);
    if (dtype === undefined) throw new BnnError('E_UNSUPPORTED', `an array of NumPy type ${describeValue(this.name)}`);
    return dtype;
  }
}

/** A copy with the bytes of every element in the other order. */
function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  for (let i = 0; i < copy.length; i++) copy[i] = bytes[i - (i % size) + (size - 1 - (i % size))] ?? 0;
  return copy;
}

/**
 * The tensor of elements that lie in an order: `C`, the last index changes first; `F`, the first one does; `K`, as in C with the axes
 * in the order of `axes`, which NumPy 2 writes for arrays that are neither.
 */
function fromOrdered(
  dtype: Dtype,
  shape: readonly number[],
  bytes: Uint8Array,
  order: unknown,
  axes: readonly unknown[] | undefined,
): Tensor {
  if (order === 'C') return fromBytes(dtype, shape, bytes);
  const all = shape.map((_, axis) => axis);
  if (order === 'F') return permute(fromBytes(dtype, shape.toReversed(), bytes), all.toReversed());
  if (order !== 'K')
    throw new BnnError('E_UNSUPPORTED', `an array in order ${describeValue(order)}, expected C, F or K`);
  if (axes?.length !== shape.length || !all.every((axis) => axes.includes(axis))) {
    throw new Error('the axes of an array in order K are no permutation of its dimensions');
  }
  return permute(fromBytes(dtype, shape, bytes), axes as number[]);
}

/** A number of a NumPy type (`np.float64(0.5)`); null for one of a type that is no number. */
const scalar: PickleConstructor = ([dtype, data]) => {
  if (!(dtype instanceof PickledDtype)) throw new Error('a scalar without a dtype');
  const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  if (!dtype.isNumber || !(bytes instanceof Uint8Array)) return null;
  return toNumbers(fromBytes(dtype.dtype, [], dtype.isSwapped ? swapped(bytes, bytes.length) : bytes))[0];
};

const KNOWN: ReadonlyMap<string, PickleConstructor> = new Map<string, PickleConstructor>([
  ['multiarray._reconstruct', () => new PickledArray()],
  ['multiarray.scalar', scalar],
  ['numpy.ndarray', () => new PickledArray()],
  [
    'numpy.dtype',
    ([name]) => {
      if (typeof name !== 'string') throw new Error('a dtype without a name');
      return new PickledDtype(name);
    },
  ],
  [
    'numeric._frombuffer',
    ([data, dtype, shape, order, axes]) => {
      const array = new PickledArray();
      array.fill(data, dtype, shape, order, axes);
      return array;
    },
  ],
]);

/**
 * Accepts arrays and scalars and what they are made of, from NumPy 1 and 2, protocols 0 to 5. Arrays come out as `PickledArray`,
 * scalars as numbers.
 */
export function numpyConstructor(module: string, name: string): PickleConstructor | undefined {
  // NumPy 2 renamed numpy.core to numpy._core.
  return KNOWN.get(`${module.replace(/^numpy\._?core\./, '')}.${name}`);
}

/** NumPy 2 has 64 dimensions at most. */
const MOST_DIMENSIONS = 64;

function isShape(value: unknown): value is readonly number[] {
  if (!Array.isArray(value) || value.length > MOST_DIMENSIONS) return false;
  return value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
