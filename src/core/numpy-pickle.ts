/** How NumPy arrays appear in pickles (numpy/_core/src/multiarray, `array_reduce`): an allow-list for `decodePickle`. */

import { BnnError } from '../errors.ts';
import { describeValue } from './describe-value.ts';
import type { PickleConstructor, PickleStateful } from './pickle.ts';
import { bytesPerElement, type Dtype, fromBytes, type Tensor, toNumbers } from './tensor.ts';

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

  get tensor(): Tensor {
    if (this.#tensor === undefined) throw new BnnError('E_FORMAT', 'the pickle holds an array without elements');
    return this.#tensor;
  }

  /** State: (version, shape, dtype, is Fortran order, bytes). */
  setState(state: unknown): void {
    if (!Array.isArray(state) || state.length !== 5) throw new Error('the state of an array is not a tuple of 5');
    const [, shape, dtype, fortran, data] = state as unknown[];
    this.fill(data, dtype, shape, fortran === true ? 'F' : 'C');
  }

  fill(data: unknown, dtype: unknown, shape: unknown, order: unknown): void {
    if (!(dtype instanceof PickledDtype)) throw new Error('an array without a dtype');
    if (!isShape(shape)) throw new Error('the shape of an array is not a tuple of sizes');
    if (order !== 'C' && shape.length > 1) throw new BnnError('E_UNSUPPORTED', 'an array in Fortran order');
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    if (!(bytes instanceof Uint8Array)) throw new Error('an array whose elements are not bytes');
    this.#tensor = fromBytes(dtype.dtype, shape, bytes);
  }
}

class PickledDtype implements PickleStateful {
  readonly #name: string;
  #order = '<';

  constructor(name: string) {
    this.#name = name;
  }

  /** State: (version, byte order, ...). */
  setState(state: unknown): void {
    if (!Array.isArray(state) || typeof state[1] !== 'string')
      throw new Error('the state of a dtype has no byte order');
    this.#order = state[1];
  }

  get isNumber(): boolean {
    return DTYPE_OF.has(this.#name);
  }

  get dtype(): Dtype {
    const dtype = DTYPE_OF.get(this.#name);
    if (dtype === undefined) throw new BnnError('E_UNSUPPORTED', `an array of NumPy type ${describeValue(this.#name)}`);
    if (this.#order === '>' && bytesPerElement(dtype) > 1) throw new BnnError('E_UNSUPPORTED', 'a big-endian array');
    return dtype;
  }
}

/** A number of a NumPy type (`np.float64(0.5)`); null for one of a type that is no number. */
const scalar: PickleConstructor = ([dtype, data]) => {
  if (!(dtype instanceof PickledDtype)) throw new Error('a scalar without a dtype');
  const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  if (!dtype.isNumber || !(bytes instanceof Uint8Array)) return null;
  return toNumbers(fromBytes(dtype.dtype, [], bytes))[0];
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
    ([data, dtype, shape, order]) => {
      const array = new PickledArray();
      array.fill(data, dtype, shape, order);
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
