/** AttributeProto <-> Attribute. */

import type { Attribute, AttributeKind, Attributes } from '../graph/attribute.ts';
import type { DecodeContext } from './decode-context.ts';
import { type AttributeProto, type Init, AttributeProtoAttributeType as Type } from './generated/onnx.ts';
import { floats, integers64 } from './packed-numbers.ts';
import { decodeTensor, encodeTensor, toLong } from './tensor-proto.ts';

const TYPE_OF: Readonly<Record<AttributeKind, number>> = {
  int: Type.INT,
  float: Type.FLOAT,
  string: Type.STRING,
  tensor: Type.TENSOR,
  ints: Type.INTS,
  floats: Type.FLOATS,
  strings: Type.STRINGS,
};
const KIND_OF = new Map(Object.entries(TYPE_OF).map(([kind, type]) => [type, kind as AttributeKind]));
const TYPE_NAME = new Map<number, string>(Object.entries(Type).map(([name, type]) => [type, name]));

/**
 * Decodes the attributes of a node, in the order of the file.
 *
 * @throws {BnnError} E_UNSUPPORTED naming the attribute for subgraphs, sparse tensors, types and lists of them.
 */
export function decodeAttributes(protos: readonly AttributeProto[], context: DecodeContext): Attributes {
  const entries = new Map<string, Attribute>();
  for (const proto of protos) {
    const name = proto.name ?? '';
    const at = context.inside(`attribute "${name}"`);
    if (name === '') at.fail('an attribute has no name');
    if (entries.has(name)) at.fail('the attribute is set twice');
    entries.set(name, decodeAttribute(proto, at));
  }
  // Unlike an assignment, fromEntries makes "__proto__" a key like any other.
  return Object.fromEntries(entries);
}

export function encodeAttributes(attributes: Attributes): Init<AttributeProto>[] {
  return Object.entries(attributes).map(([name, attribute]) => encodeAttribute(name, attribute));
}

function decodeAttribute(proto: AttributeProto, at: DecodeContext): Attribute {
  const type = (proto.type ?? Type.UNDEFINED) === Type.UNDEFINED ? impliedType(proto) : (proto.type ?? 0);
  const kind = KIND_OF.get(type);
  if (kind === undefined) {
    at.unsupported(
      type === Type.GRAPH || type === Type.GRAPHS
        ? 'the attribute is a subgraph (control flow)'
        : `the attribute is of type ${TYPE_NAME.get(type) ?? type}`,
      `expected ${Object.keys(TYPE_OF).join(', ')}`,
    );
  }
  if (proto.refAttrName !== null && proto.refAttrName !== '') {
    return { kind: 'reference', name: proto.refAttrName, of: kind };
  }
  switch (kind) {
    case 'int':
      return { kind, value: toSafeInteger(proto.i?.toNumber() ?? 0) };
    case 'float':
      return { kind, value: proto.f ?? 0 };
    case 'string':
      return { kind, value: decodeText(proto.s ?? new Uint8Array(), at) };
    case 'tensor':
      if (proto.t === null) at.fail('the attribute is of type TENSOR but holds none');
      return { kind, value: decodeTensor(proto.t, at) };
    case 'ints':
      return { kind, value: Array.from(complete(integers64(proto.ints), at), (value) => toSafeInteger(value)) };
    case 'floats':
      return { kind, value: Array.from(complete(floats(proto.floats, Float32Array), at)) };
    case 'strings':
      return { kind, value: proto.strings.map((bytes) => decodeText(bytes, at)) };
    default:
      kind satisfies never;
      throw new Error(`internal: attribute kind ${String(kind)}`);
  }
}

function encodeAttribute(name: string, attribute: Attribute): Init<AttributeProto> {
  switch (attribute.kind) {
    case 'int':
      return { name, type: Type.INT, i: toLong(attribute.value) };
    case 'float':
      return { name, type: Type.FLOAT, f: attribute.value };
    case 'string':
      return { name, type: Type.STRING, s: encodeText(attribute.value) };
    case 'tensor':
      return { name, type: Type.TENSOR, t: encodeTensor(attribute.value, '') };
    case 'ints':
      return { name, type: Type.INTS, ints: attribute.value.map(toLong) };
    case 'floats':
      return { name, type: Type.FLOATS, floats: attribute.value };
    case 'strings':
      return { name, type: Type.STRINGS, strings: attribute.value.map(encodeText) };
    case 'reference':
      return { name, type: TYPE_OF[attribute.of], refAttrName: attribute.name };
    default:
      attribute satisfies never;
      throw new Error(`internal: attribute ${name}`);
  }
}

/** Files of IR version 1 leave the type out: the field that is set tells it. */
function impliedType(proto: AttributeProto): number {
  if (proto.f !== null) return Type.FLOAT;
  if (proto.i !== null) return Type.INT;
  if (proto.s !== null) return Type.STRING;
  if (proto.t !== null) return Type.TENSOR;
  if (proto.g !== null) return Type.GRAPH;
  if (proto.floats.length > 0) return Type.FLOATS;
  if (proto.ints.length > 0) return Type.INTS;
  if (proto.strings.length > 0) return Type.STRINGS;
  if (proto.tensors.length > 0) return Type.TENSORS;
  if (proto.graphs.length > 0) return Type.GRAPHS;
  return Type.UNDEFINED;
}

/**
 * Clamps to ±2^53: what lies beyond is in practice INT64_MAX or INT64_MIN, "to the end", which no size of a real tensor
 * tells from 2^53.
 */
function toSafeInteger(value: number | bigint): number {
  return Math.min(Math.max(Number(value), -(2 ** 53)), 2 ** 53);
}

function complete<T>(numbers: T | undefined, at: DecodeContext): T {
  return numbers ?? at.fail('the list ends inside a number');
}

function decodeText(bytes: Uint8Array, at: DecodeContext): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return at.unsupported('the attribute holds bytes that are not UTF-8 text');
  }
}

function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
