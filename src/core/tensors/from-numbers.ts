/** Tensors of any dtype from plain numbers. */

import { roundHalfEven } from '../numbers/round.ts';
import { createArray, type Dtype, type Tensor } from './tensor.ts';

/** Rounds to the dtype: integers and bool to nearest, 16-bit floats half to even. Numbers must lie in its range. */
export function fromNumbers(dtype: Dtype, shape: readonly number[], numbers: ArrayLike<number>): Tensor {
  const data = createArray(dtype, numbers.length);
  const set = (write: (x: number, i: number) => void): void => {
    for (let i = 0; i < numbers.length; i++) write(numbers[i] ?? 0, i);
  };
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) set((x, i) => (data[i] = BigInt(Math.round(x))));
  else if (dtype === 'float16') set((x, i) => (data[i] = numberToHalf(x)));
  else if (dtype === 'bfloat16') set((x, i) => (data[i] = numberToBfloat(x)));
  else if (dtype === 'float32' || dtype === 'float64') set((x, i) => (data[i] = x));
  else if (dtype === 'bool') set((x, i) => (data[i] = x === 0 ? 0 : 1));
  else set((x, i) => (data[i] = Math.round(x)));
  return { dtype, shape, data } as Tensor;
}

/** IEEE 754 binary16 bits of a number, rounded to nearest, ties to even. */
export function numberToHalf(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  if (Number.isNaN(x)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.max(size, 2 ** -24))));
  const steps = roundHalfEven(size / 2 ** (exponent - 10));
  // A mantissa that rounds up to the next power of two carries into the exponent by itself.
  return sign | (exponent === -14 && steps < 1024 ? steps : ((exponent + 14) << 10) + steps);
}

const bits = new DataView(new ArrayBuffer(4));

/** The upper half of a float32, rounded to nearest, ties to even. */
function numberToBfloat(x: number): number {
  bits.setFloat32(0, x);
  const code = bits.getUint32(0);
  return ((code + 0x7fff + ((code >>> 16) & 1)) >>> 16) & 0xffff;
}
