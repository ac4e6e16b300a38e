/** TensorProto <-> Tensor. */

import type Long from 'long';
import { elementCount, MAX_RANK } from '../core/tensors/shape.ts';
import { bytesOf, bytesPerElement, createArray, type Dtype, fromBytes, type Tensor } from '../core/tensors/tensor.ts';
import { DTYPE_CODES, dtypeOfCode } from '../graph/dtype-code.ts';
import { dataTypeName } from './data-type.ts';
import type { DecodeContext } from './decode-context.ts';
import { type Init, type TensorProto, TensorProtoDataLocation } from './generated/onnx.ts';
import { floats, integers32, integers64 } from './packed-numbers.ts';

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
  const shape = decodeShape(proto.dims, at);
  const count = elementCount(shape);
  const sizeBytes = count * bytesPerElement(dtype);
  if (!Number.isSafeInteger(sizeBytes)) at.fail(`${dtype}[${shape.join(', ')}] has more elements than any file holds`);
  if (proto.dataLocation === TensorProtoDataLocation.EXTERNAL) {
    return fromStoredBytes(dtype, shape, readExternalBytes(proto, sizeBytes, at), at);
  }
  if (proto.rawData !== null) return fromStoredBytes(dtype, shape, proto.rawData, at);
  const field = typedField(proto, dtype);
  const values = field.read();
  if (values === undefined) at.fail(`${field.name} ends inside a number`);
  if (values.length !== count) {
    at.fail(`${dtype}[${shape.join(', ')}] needs ${count} elements but ${field.name} holds ${values.length}`);
  }
  return fromTypedField(dtype, shape, values);
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

function decodeShape(dims: TensorProto['dims'], at: DecodeContext): number[] {
  const values = integers64(dims);
  if (values === undefined) at.fail('its dimensions end inside a number');
  if (values.length > MAX_RANK) at.unsupported(`${values.length} dimensions, expected at most ${MAX_RANK}`);
  return Array.from(values, (value) => {
    const size = Number(value);
    if (!Number.isSafeInteger(size) || size < 0) at.fail(`a dimension is ${value}, expected a size of 0 or more`);
    return size;
  });
}

function fromStoredBytes(dtype: Dtype, shape: readonly number[], bytes: Uint8Array, at: DecodeContext): Tensor {
  const tensor = fromBytes(dtype, shape, bytes, at.at);
  if (dtype === 'bool') for (const [i, value] of bytes.entries()) if (value > 1) tensor.data[i] = 1;
  return tensor;
}

type TypedNumbers = BigInt64Array | Int32Array | Float32Array | Float64Array;

interface TypedField {
  readonly name: string;
  /** Undefined when the field ends inside a number. */
  readonly read: () => TypedNumbers | undefined;
}

function typedField(proto: TensorProto, dtype: Dtype): TypedField {
  switch (dtype) {
    case 'float32':
      return { name: 'float_data', read: () => floats(proto.floatData, Float32Array) };
    case 'float64':
      return { name: 'double_data', read: () => floats(proto.doubleData, Float64Array) };
    case 'int64':
      return { name: 'int64_data', read: () => integers64(proto.int64Data) };
    case 'uint32':
    case 'uint64':
      return { name: 'uint64_data', read: () => integers64(proto.uint64Data) };
    case 'int8':
    case 'uint8':
    case 'int16':
    case 'uint16':
    case 'int32':
    case 'bool':
    // The 16 bits of a half-precision number, one per element.
    case 'float16':
    case 'bfloat16':
      return { name: 'int32_data', read: () => integers32(proto.int32Data) };
    default:
      dtype satisfies never;
      throw new Error(`internal: dtype ${String(dtype)}`);
  }
}

/** Integers are cut to the bits of the dtype. */
function fromTypedField(dtype: Dtype, shape: readonly number[], values: TypedNumbers): Tensor {
  const data = createArray(dtype, values.length);
  if (data instanceof BigUint64Array) data.set(new BigUint64Array(values.buffer));
  else if (data instanceof BigInt64Array) data.set(values as BigInt64Array);
  else if (values instanceof BigInt64Array) {
    const halves = new Int32Array(values.buffer);
    for (let i = 0; i < data.length; i++) data[i] = halves[2 * i] ?? 0;
  } else if (dtype === 'bool') for (let i = 0; i < data.length; i++) data[i] = values[i] === 0 ? 0 : 1;
  else data.set(values);
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
