/** TypeProto and ValueInfoProto <-> ValueType. */

import { MAX_RANK } from '../core/tensors/shape.ts';
import { DTYPE_CODES, dtypeOfCode } from '../graph/dtype-code.ts';
import type { Dim, Shape, ValueType } from '../graph/graph.ts';
import { dataTypeName } from './data-type.ts';
import type { DecodeContext } from './decode-context.ts';
import type { Init, TensorShapeProto, TypeProto, ValueInfoProto } from './generated/onnx.ts';
import { toLong } from './tensor-proto.ts';

const UNKNOWN: ValueType = { dtype: null, shape: null };

/**
 * The type of a graph input or output. A type that is not given is unknown; a negative size, which some exporters write, too.
 *
 * @throws {BnnError} E_UNSUPPORTED when it is no dense tensor, or one of an element type this project does not handle.
 */
export function decodeType(type: TypeProto | null, at: DecodeContext): ValueType {
  if (type === null) return UNKNOWN;
  const tensor = type.tensorType;
  if (tensor === null) {
    const other = otherKind(type);
    return other === undefined ? UNKNOWN : at.unsupported(`the value is a ${other}, expected a tensor`);
  }
  const elemType = tensor.elemType ?? 0;
  const dtype = elemType === 0 ? null : dtypeOfCode(elemType);
  if (dtype === undefined) at.unsupported(`the value has element type ${dataTypeName(elemType)}`);
  return { dtype, shape: decodeShape(tensor.shape) };
}

/** The type of a value inside the graph, or undefined when it is one that this project does not handle. */
export function decodeInnerType(type: TypeProto | null): ValueType | undefined {
  const tensor = type?.tensorType;
  if (tensor == null) return undefined;
  const dtype = dtypeOfCode(tensor.elemType ?? 0) ?? null;
  return { dtype, shape: decodeShape(tensor.shape) };
}

/** Leaves the type out when not even the dtype is known. */
export function encodeValueInfo(name: string, { dtype, shape }: ValueType): Init<ValueInfoProto> {
  if (dtype === null) return { name };
  const elemType = DTYPE_CODES[dtype];
  return { name, type: { tensorType: shape === null ? { elemType } : { elemType, shape: encodeShape(shape) } } };
}

/** Unknown when there is none, or one of more dimensions than any tensor may have. */
function decodeShape(shape: TensorShapeProto | null): Shape | null {
  if (shape === null || shape.dim.length > MAX_RANK) return null;
  return shape.dim.map((dim): Dim => {
    if (dim.dimParam !== null && dim.dimParam !== '') return dim.dimParam;
    const size = dim.dimValue === null ? -1 : dim.dimValue.toNumber();
    return Number.isSafeInteger(size) && size >= 0 ? size : null;
  });
}

function encodeShape(shape: Shape): Init<TensorShapeProto> {
  return {
    dim: shape.map((dim) => {
      if (dim === null) return {};
      return typeof dim === 'string' ? { dimParam: dim } : { dimValue: toLong(dim) };
    }),
  };
}

function otherKind(type: TypeProto): string | undefined {
  if (type.sequenceType !== null) return 'sequence';
  if (type.mapType !== null) return 'map';
  if (type.opaqueType !== null) return 'opaque value';
  if (type.sparseTensorType !== null) return 'sparse tensor';
  if (type.optionalType !== null) return 'optional';
  return undefined;
}
