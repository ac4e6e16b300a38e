// @ts-nocheck
// Generated from proto/onnx.proto by tools/gen-proto.ts: do not edit.
import type Long from 'long';

export interface ModelProto {
  readonly irVersion: Long | null;
  readonly producerName: string | null;
  readonly producerVersion: string | null;
  readonly domain: string | null;
  readonly modelVersion: Long | null;
  readonly docString: string | null;
  readonly graph: GraphProto | null;
  readonly opsetImport: readonly OperatorSetIdProto[];
  readonly metadataProps: readonly StringStringEntryProto[];
  readonly functions: readonly FunctionProto[];
}
export interface OperatorSetIdProto {
  readonly domain: string | null;
  readonly version: Long | null;
}
export interface StringStringEntryProto {
  readonly key: string | null;
  readonly value: string | null;
}
export interface GraphProto {
  readonly node: readonly NodeProto[];
  readonly name: string | null;
  readonly initializer: readonly TensorProto[];
  readonly docString: string | null;
  readonly input: readonly ValueInfoProto[];
  readonly output: readonly ValueInfoProto[];
  readonly valueInfo: readonly ValueInfoProto[];
  readonly quantizationAnnotation: readonly TensorAnnotation[];
  readonly sparseInitializer: readonly SparseTensorProto[];
  readonly metadataProps: readonly StringStringEntryProto[];
}
export interface ValueInfoProto {
  readonly name: string | null;
  readonly type: TypeProto | null;
  readonly docString: string | null;
  readonly metadataProps: readonly StringStringEntryProto[];
}
export interface TensorAnnotation {
  readonly tensorName: string | null;
  readonly quantParameterTensorNames: readonly StringStringEntryProto[];
}
export interface NodeProto {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name: string | null;
  readonly opType: string | null;
  readonly attribute: readonly AttributeProto[];
  readonly docString: string | null;
  readonly domain: string | null;
  readonly overload: string | null;
  readonly metadataProps: readonly StringStringEntryProto[];
}
export interface AttributeProto {
  readonly name: string | null;
  readonly f: number | null;
  readonly i: Long | null;
  readonly s: Uint8Array | null;
  readonly t: TensorProto | null;
  readonly g: GraphProto | null;
  readonly floats: readonly (number | Uint8Array)[];
  readonly ints: readonly (Long | Uint8Array)[];
  readonly strings: readonly Uint8Array[];
  readonly tensors: readonly TensorProto[];
  readonly graphs: readonly GraphProto[];
  readonly docString: string | null;
  readonly tp: TypeProto | null;
  readonly typeProtos: readonly TypeProto[];
  readonly type: number | null;
  readonly refAttrName: string | null;
  readonly sparseTensor: SparseTensorProto | null;
  readonly sparseTensors: readonly SparseTensorProto[];
}
export const AttributeProtoAttributeType = {
  UNDEFINED: 0,
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  TENSOR: 4,
  GRAPH: 5,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
  TENSORS: 9,
  GRAPHS: 10,
  SPARSE_TENSOR: 11,
  SPARSE_TENSORS: 12,
  TYPE_PROTO: 13,
  TYPE_PROTOS: 14,
} as const;
export interface TensorProto {
  readonly dims: readonly (Long | Uint8Array)[];
  readonly dataType: number | null;
  readonly segment: TensorProtoSegment | null;
  readonly floatData: readonly (number | Uint8Array)[];
  readonly int32Data: readonly (number | Uint8Array)[];
  readonly stringData: readonly Uint8Array[];
  readonly int64Data: readonly (Long | Uint8Array)[];
  readonly name: string | null;
  readonly rawData: Uint8Array | null;
  readonly doubleData: readonly (number | Uint8Array)[];
  readonly uint64Data: readonly (Long | Uint8Array)[];
  readonly docString: string | null;
  readonly externalData: readonly StringStringEntryProto[];
  readonly dataLocation: number | null;
  readonly metadataProps: readonly StringStringEntryProto[];
}
export const TensorProtoDataType = {
  UNDEFINED: 0,
  FLOAT: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  STRING: 8,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  UINT32: 12,
  UINT64: 13,
  COMPLEX64: 14,
  COMPLEX128: 15,
  BFLOAT16: 16,
  FLOAT8E4M3FN: 17,
  FLOAT8E4M3FNUZ: 18,
  FLOAT8E5M2: 19,
  FLOAT8E5M2FNUZ: 20,
  UINT4: 21,
  INT4: 22,
  FLOAT4E2M1: 23,
  FLOAT8E8M0: 24,
  UINT2: 25,
  INT2: 26,
  FLOAT6E2M3: 27,
  FLOAT6E3M2: 28,
} as const;
export const TensorProtoDataLocation = {
  DEFAULT: 0,
  EXTERNAL: 1,
} as const;
export interface TensorProtoSegment {
  readonly begin: Long | null;
  readonly end: Long | null;
}
export interface SparseTensorProto {
  readonly values: TensorProto | null;
  readonly indices: TensorProto | null;
  readonly dims: readonly (Long | Uint8Array)[];
}
export interface TensorShapeProto {
  readonly dim: readonly TensorShapeProtoDimension[];
}
export interface TensorShapeProtoDimension {
  readonly dimValue: Long | null;
  readonly dimParam: string | null;
  readonly denotation: string | null;
}
export interface TypeProto {
  readonly tensorType: TypeProtoTensor | null;
  readonly sequenceType: TypeProtoSequence | null;
  readonly mapType: TypeProtoMap | null;
  readonly opaqueType: TypeProtoOpaque | null;
  readonly sparseTensorType: TypeProtoSparseTensor | null;
  readonly optionalType: TypeProtoOptional | null;
  readonly denotation: string | null;
}
export interface TypeProtoTensor {
  readonly elemType: number | null;
  readonly shape: TensorShapeProto | null;
}
export interface TypeProtoSequence {
  readonly elemType: TypeProto | null;
}
export interface TypeProtoMap {
  readonly keyType: number | null;
  readonly valueType: TypeProto | null;
}
export interface TypeProtoOpaque {
  readonly domain: string | null;
  readonly name: string | null;
}
export interface TypeProtoSparseTensor {
  readonly elemType: number | null;
  readonly shape: TensorShapeProto | null;
}
export interface TypeProtoOptional {
  readonly elemType: TypeProto | null;
}
export interface FunctionProto {
  readonly name: string | null;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly string[];
  readonly node: readonly NodeProto[];
  readonly docString: string | null;
  readonly opsetImport: readonly OperatorSetIdProto[];
  readonly domain: string | null;
  readonly attributeProto: readonly AttributeProto[];
  readonly valueInfo: readonly ValueInfoProto[];
  readonly overload: string | null;
  readonly metadataProps: readonly StringStringEntryProto[];
}

/** A message as it is encoded: every field may be left out. */
export type Init<T> = T extends Uint8Array | Long | number | string | null
  ? T
  : T extends readonly (infer E)[]
    ? readonly Init<E>[]
    : { readonly [K in keyof T]?: Init<T[K]> | undefined };
