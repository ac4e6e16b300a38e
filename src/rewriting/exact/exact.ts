/**
 * Constants while they are being folded: float64 numbers that remember the dtype they will be rounded to. A chain of folds works
 * on these and rounds once, at the end.
 */

import { elementCount } from '../../core/tensors/shape.ts';
import {
  bytesPerElement,
  createArray,
  DTYPES,
  type Dtype,
  type Tensor,
  type TensorData,
} from '../../core/tensors/tensor.ts';

export interface Exact {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** float16 and bfloat16 stay unfolded: nothing here rounds to them. */
const FOLDABLE: ReadonlySet<Dtype> = new Set(DTYPES.filter((dtype) => dtype !== 'float16' && dtype !== 'bfloat16'));

/** Numbers of a tensor, or null when the dtype is not folded or an integer does not fit float64. */
export function exactOf(t: Tensor): Exact | null {
  if (!FOLDABLE.has(t.dtype)) return null;
  const data = new Float64Array(t.data.length);
  if (t.data instanceof BigInt64Array || t.data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) {
      const value = Number(t.data[i]);
      if (!Number.isSafeInteger(value)) return null;
      data[i] = value;
    }
  } else {
    data.set(t.data);
  }
  return { dtype: t.dtype, shape: t.shape, data };
}

export function isInteger(dtype: Dtype): boolean {
  return dtype !== 'float32' && dtype !== 'float64' && dtype !== 'float16' && dtype !== 'bfloat16';
}

/** Whether a float tensor has neither infinities nor NaN; integers have none. */
export function isAllFinite({ dtype, data }: Exact): boolean {
  return isInteger(dtype) || data.every(Number.isFinite);
}

/** Least and largest number of an integer dtype, of those that float64 holds. */
function rangeOf(dtype: Dtype): readonly [low: number, high: number] {
  if (dtype === 'bool') return [0, 1];
  const isUnsigned = dtype.startsWith('u');
  const bits = 8 * bytesPerElement(dtype);
  const most = bits === 64 ? Number.MAX_SAFE_INTEGER : 2 ** (isUnsigned ? bits : bits - 1) - 1;
  return [isUnsigned ? 0 : -most - (bits === 64 ? 0 : 1), most];
}

/** Whether every number is one that the dtype can hold: an integer dtype has no fractions, no NaN, and nothing that float64 rounds. */
export function fitsDtype({ dtype, data }: Exact): boolean {
  if (!isInteger(dtype)) return true;
  const [low, high] = rangeOf(dtype);
  return data.every((x) => Number.isInteger(x) && x >= low && x <= high);
}

/**
 * An integer in the bits of a dtype, in two's complement, as a runtime computes. What float64 has rounded, or bool, or 64 bits, cannot
 * hold stays as it is, for `fitsDtype` to find.
 */
export function wrapInteger(dtype: Dtype): (x: number) => number {
  const bits = 8 * bytesPerElement(dtype);
  if (dtype === 'bool' || bits === 64) return (x) => x;
  const [low, count] = [rangeOf(dtype)[0], 2 ** bits];
  return (x) => (Number.isSafeInteger(x) ? x - count * Math.floor((x - low) / count) : x);
}

/** The numbers that a runtime has, for operators whose result jumps: a float32 that was computed here is not rounded yet. */
export function asStored(x: Exact): Exact {
  return x.dtype === 'float32' ? { ...x, data: x.data.map(Math.fround) } : x;
}

/** Rounds to the dtype that the tensor has in the graph (to nearest, ties to even, for the float types). */
export function roundExact({ dtype, shape, data }: Exact): Tensor {
  const rounded = createArray(dtype, elementCount(shape));
  if (rounded instanceof BigInt64Array || rounded instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) rounded[i] = BigInt(data[i] ?? 0);
  } else {
    rounded.set(data);
  }
  return { dtype, shape, data: rounded as TensorData } as Tensor;
}
