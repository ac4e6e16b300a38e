/** The numbers by which ONNX attributes (`Cast.to`) and files name element types: `TensorProto.DataType` of the ONNX standard. */

import type { Dtype } from '../core/tensors/tensor.ts';

export const DTYPE_CODES: Readonly<Record<Dtype, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

const DTYPE_OF_CODE = new Map(Object.entries(DTYPE_CODES).map(([dtype, code]) => [code, dtype as Dtype]));

/** Undefined for a type that this project does not handle: strings, complex numbers, 8- and 4-bit floats. */
export function dtypeOfCode(code: number): Dtype | undefined {
  return DTYPE_OF_CODE.get(code);
}
