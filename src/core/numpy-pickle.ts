/** How NumPy arrays appear in pickles (numpy/_core/src/multiarray, `array_reduce`): an allow-list for `decodePickle`. */

import { BnnError } from '../errors.ts';
import type { PickleConstructor, PickleStateful } from './pickle.ts';
import { bytesPerElement, type Dtype, fromBytes, type Tensor } from './tensor.ts';

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
  readonly #charge: (bytes: number) => void;
  #tensor: Tensor | undefined;

  /** @param charge  called with the size before bytes are copied; throws when it is too much. */
  constructor(charge: (bytes: number) => void) {
    this.#charge = charge;
  }

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
    if (typeof data === 'string' || data instanceof Uint8Array) this.#charge(data.length);
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

  get dtype(): Dtype {
    const dtype = DTYPE_OF.get(this.#name);
    if (dtype === undefined) throw new BnnError('E_UNSUPPORTED', `an array of NumPy type "${this.#name}"`);
    if (this.#order === '>' && bytesPerElement(dtype) > 1) throw new BnnError('E_UNSUPPORTED', 'a big-endian array');
    return dtype;
  }
}

/**
 * Accepts arrays and what they are made of, from NumPy 1 and 2, protocols 0 to 5. Arrays come out as `PickledArray`.
 *
 * @param fileBytes  the size of the pickle. No more is copied altogether, so that a small file which refers to the same bytes many
 *                   times cannot claim much memory.
 */
export function createNumpyConstructors(
  fileBytes: number,
): (module: string, name: string) => PickleConstructor | undefined {
  let copiedBytes = 0;
  const charge = (bytes: number): void => {
    copiedBytes += bytes;
    if (copiedBytes > fileBytes) throw new Error(`arrays of more bytes than the file's ${fileBytes}`);
  };
  const known: Readonly<Record<string, PickleConstructor>> = {
    'multiarray._reconstruct': () => new PickledArray(charge),
    'numpy.ndarray': () => new PickledArray(charge),
    'numpy.dtype': ([name]) => {
      if (typeof name !== 'string') throw new Error('a dtype without a name');
      return new PickledDtype(name);
    },
    'numeric._frombuffer': ([data, dtype, shape, order]) => {
      const array = new PickledArray(charge);
      array.fill(data, dtype, shape, order);
      return array;
    },
  };
  // NumPy 2 renamed numpy.core to numpy._core.
  return (module, name) => known[`${module.replace(/^numpy\._?core\./, '')}.${name}`];
}

function isShape(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
