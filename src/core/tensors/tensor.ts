/** Plain tensors: a dtype, a shape and a typed array in row-major order. */

import { BnnError } from '../../errors.ts';
import { elementCount } from './shape.ts';

export const DTYPES = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
] as const;
export type Dtype = (typeof DTYPES)[number];

/** float16 and bfloat16 are kept as their 16 bits; bool as 0 or 1. */
interface ArrayOf {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}
export type TensorData = ArrayOf[Dtype];

export interface Tensor<D extends Dtype = Dtype> {
  readonly dtype: D;
  /** Sizes of the dimensions; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** Row-major elements, `elementCount(shape)` of them. */
  readonly data: ArrayOf[D];
}

const ARRAYS: { readonly [D in Dtype]: { new (length: number): ArrayOf[D]; readonly BYTES_PER_ELEMENT: number } } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** Size of one element in bytes. */
export function bytesPerElement(dtype: Dtype): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Allocates the zeroed array of `length` elements that a dtype is kept in. */
export function createArray<D extends Dtype>(dtype: D, length: number): ArrayOf[D] {
  return new ARRAYS[dtype](length);
}

/**
 * Wraps an array as a tensor.
 *
 * @throws {BnnError} E_SHAPE when the number of elements does not match the shape.
 */
export function tensor<D extends Dtype>(dtype: D, shape: readonly number[], data: ArrayOf[D]): Tensor<D> {
  if (data.length !== elementCount(shape)) {
    throw new BnnError(
      'E_SHAPE',
      `tensor of shape [${shape.join(', ')}] needs ${elementCount(shape)} elements but has ${data.length}`,
    );
  }
  return { dtype, shape, data };
}

export function float32(shape: readonly number[], data: Iterable<number> | Float32Array): Tensor<'float32'> {
  return tensor('float32', shape, data instanceof Float32Array ? data : Float32Array.from(data));
}

/**
 * A one-dimensional int64 tensor: shapes, axes, pads.
 *
 * @throws {BnnError} E_SHAPE when a number is no integer.
 */
export function int64s(values: readonly number[]): Tensor<'int64'> {
  const other = values.find((value) => !Number.isInteger(value));
  if (other !== undefined)
    throw new BnnError('E_SHAPE', `${other} where a size or an axis was needed, expected an integer`);
  return tensor('int64', [values.length], BigInt64Array.from(values, BigInt));
}

export function scalar(value: number): Tensor<'float32'> {
  return tensor('float32', [], Float32Array.of(value));
}

export function isDtype<D extends Dtype>(t: Tensor, dtype: D): t is Tensor<D> {
  return t.dtype === dtype;
}

/** Bytes of the elements, in the machine's (little-endian) order; shares memory with the tensor. */
export function bytesOf(t: Tensor): Uint8Array {
  return new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);
}

/**
 * Reads row-major little-endian elements from bytes (copied, so the source need not be aligned).
 *
 * @throws {BnnError} E_FORMAT when the number of bytes does not match.
 */
export function fromBytes(dtype: Dtype, shape: readonly number[], bytes: Uint8Array, at?: string): Tensor {
  const count = elementCount(shape);
  if (bytes.byteLength !== count * bytesPerElement(dtype)) {
    throw new BnnError(
      'E_FORMAT',
      `${dtype}[${shape.join(', ')}] needs ${count * bytesPerElement(dtype)} bytes but ${bytes.byteLength} are stored`,
      { at },
    );
  }
  const data = createArray(dtype, count);
  new Uint8Array(data.buffer).set(bytes);
  return { dtype, shape, data } as Tensor;
}

/** All elements as JavaScript numbers (float16 and bfloat16 decoded; 64-bit integers may lose precision above 2^53). */
export function toNumbers(t: Tensor): number[] {
  if (t.dtype === 'float16') return Array.from(t.data as Uint16Array, halfToNumber);
  if (t.dtype === 'bfloat16') return Array.from(t.data as Uint16Array, bfloatToNumber);
  return Array.from(t.data as ArrayLike<number | bigint>, Number);
}

/** All elements as float32, rounded where they do not fit; those of a float32 tensor are not copied. */
export function toFloats(t: Tensor): Float32Array {
  if (isDtype(t, 'float32')) return t.data;
  if (t.dtype === 'float16') return mapped(t.data as Uint16Array, halfToNumber);
  if (t.dtype === 'bfloat16') return mapped(t.data as Uint16Array, bfloatToNumber);
  if (t.data instanceof BigInt64Array || t.data instanceof BigUint64Array) return mapped(t.data, Number);
  return new Float32Array(t.data);
}

function mapped<V>(data: ArrayLike<V>, toNumber: (value: V) => number): Float32Array {
  const floats = new Float32Array(data.length);
  for (let i = 0; i < floats.length; i++) floats[i] = toNumber(data[i] as V);
  return floats;
}

/** IEEE 754 binary16 bits to a number. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const bfloatView = new DataView(new ArrayBuffer(4));

/** bfloat16 bits to a number: the upper half of a float32. */
export function bfloatToNumber(bits: number): number {
  bfloatView.setUint16(0, bits);
  bfloatView.setUint16(2, 0);
  return bfloatView.getFloat32(0);
}
