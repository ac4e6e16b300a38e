/** TensorProto <-> Tensor. */

import type Long from 'long';
import { elementCount } from '../core/shape.ts';
import { bytesOf, bytesPerElement, createArray, type Dtype, fromBytes, type Tensor } from '../core/tensor.ts';
import { DTYPE_CODES, dtypeOfCode } from '../graph/dtype-code.ts';
import { dataTypeName } from './data-type.ts';
import type { DecodeContext } from './decode-context.ts';
import { type Init, type TensorProto, TensorProtoDataLocation } from './generated/onnx.ts';

/**
 * Decodes a tensor in any of its encodings. The element count that `dims` promises is compared with what is stored before
 * anything is allocated.
 *
 * @throws {BnnError} E_FORMAT when sizes disagree, E_UNSUPPORTED for strings, complex numbers and types below one byte.
 */
export function decodeTensor(proto: TensorProto, context: DecodeContext): Tensor {
  const at: DecodeContext = context.inside(`tensor "${proto.name ?? ''}"`);
  const dataType = proto.dataType ?? 0;
  const dtype = dtypeOfCode(dataType);
  if (dtype === undefined) {
    at.unsupported(`element type ${dataTypeName(dataType)}, expected one of ${Object.keys(DTYPE_CODES).join(', ')}`);
  }
  if (proto.segment !== null) at.unsupported('the tensor is split into segments');
  const shape = proto.dims.map((dim) => decodeSize(dim, at));
  const count = elementCount(shape);
  const sizeBytes = count * bytesPerElement(dtype);
  if (!Number.isSafeInteger(sizeBytes)) at.fail(`${dtype}[${shape.join(', ')}] has more elements than any file holds`);
  if (proto.dataLocation === TensorProtoDataLocation.EXTERNAL) {
    return fromStoredBytes(dtype, shape, readExternalBytes(proto, sizeBytes, at), at);
  }
  if (proto.rawData !== null) return fromStoredBytes(dtype, shape, proto.rawData, at);
  const field = typedField(proto, dtype);
  const stored = field.values.length;
  if (stored !== count) {
    at.fail(`${dtype}[${shape.join(', ')}] needs ${count} elements but ${field.name} holds ${stored}`);
  }
  return fromTypedField(dtype, shape, field);
}

/** Encodes a tensor as raw_data, the form every reader knows. */
export function encodeTensor(tensor: Tensor, name: string): Init<TensorProto> {
  return {
    name,
    dims: tensor.shape.map(toLong),
    dataType: DTYPE_CODES[tensor.dtype],
    rawData: bytesOf(tensor),
  };
}

/**
 * A 64-bit field as the generated encoder takes it. The types of the generated code ask for Long, whereas its writer accepts
 * any safe integer; numbers save an allocation per element.
 */
export function toLong(value: number): Long {
  if (!Number.isInteger(value) || Math.abs(value) > 2 ** 53)
    throw new Error(`internal: ${value} is not a 64-bit integer`);
  return value as unknown as Long;
}

function decodeSize(dim: Long, at: DecodeContext): number {
  const size = dim.toNumber();
  if (!Number.isSafeInteger(size) || size < 0) at.fail(`a dimension is ${dim}, expected a size of 0 or more`);
  return size;
}

function fromStoredBytes(dtype: Dtype, shape: readonly number[], bytes: Uint8Array, at: DecodeContext): Tensor {
  const tensor = fromBytes(dtype, shape, bytes, at.at);
  if (dtype === 'bool') for (const [i, value] of bytes.entries()) if (value > 1) tensor.data[i] = 1;
  return tensor;
}

type TypedField =
  | { readonly name: string; readonly values: readonly number[] }
  | { readonly name: string; readonly values: readonly Long[] };

function typedField(proto: TensorProto, dtype: Dtype): TypedField {
  switch (dtype) {
    case 'float32':
      return { name: 'float_data', values: proto.floatData };
    case 'float64':
      return { name: 'double_data', values: proto.doubleData };
    case 'int64':
      return { name: 'int64_data', values: proto.int64Data };
    case 'uint32':
    case 'uint64':
      return { name: 'uint64_data', values: proto.uint64Data };
    case 'int8':
    case 'uint8':
    case 'int16':
    case 'uint16':
    case 'int32':
    case 'bool':
    // The 16 bits of a half-precision number, one per element.
    case 'float16':
    case 'bfloat16':
      return { name: 'int32_data', values: proto.int32Data };
    default:
      dtype satisfies never;
      throw new Error(`internal: dtype ${String(dtype)}`);
  }
}

function fromTypedField(dtype: Dtype, shape: readonly number[], field: TypedField): Tensor {
  const data = createArray(dtype, field.values.length);
  const isBigInt = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (const [i, value] of field.values.entries()) {
    if (isBigInt) data[i] = typeof value === 'number' ? BigInt(value) : value.toBigInt();
    else if (dtype === 'bool') data[i] = Number(value) === 0 ? 0 : 1;
    else data[i] = Number(value);
  }
  return { dtype, shape, data } as Tensor;
}

function readExternalBytes(proto: TensorProto, sizeBytes: number, at: DecodeContext): Uint8Array {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value ?? '']));
  const location = entries.get('location') ?? '';
  const offset = decodeByteCount(entries.get('offset') ?? '0', 'offset', at);
  const length = decodeByteCount(entries.get('length') ?? String(sizeBytes), 'length', at);
  if (location === '') at.fail('the data are said to be in another file, whose location is missing');
  if (length !== sizeBytes) {
    at.fail(`the shape needs ${sizeBytes} bytes but ${length} are stored in external file "${location}"`);
  }
  if (at.readExternal === undefined) {
    at.unsupported(
      `the data are in external file "${location}"`,
      'read the model from its folder, not from bytes alone',
    );
  }
  return at.readExternal(location, offset, length);
}

function decodeByteCount(text: string, what: string, at: DecodeContext): number {
  const count = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(count)) {
    at.fail(`external data have ${what} "${text}", expected a number of bytes`);
  }
  return count;
}
