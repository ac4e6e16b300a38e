/** Model -> bytes of an ONNX file. */

import { BnnError } from '../errors.ts';
import { tensorAttribute } from '../graph/attribute.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { GraphFunction, Model } from '../graph/model.ts';
import { encodeAttributes } from './attribute-proto.ts';
import { encodeModelProto } from './generated/encode.ts';
import type {
  FunctionProto,
  GraphProto,
  Init,
  NodeProto,
  OperatorSetIdProto,
  ValueInfoProto,
} from './generated/onnx.ts';
import { encodeTensor, toLong } from './tensor-proto.ts';
import { encodeValueInfo } from './type-proto.ts';

export interface EncodeOptions {
  /** Whether to write the known types of values inside the graph, which viewers show; on by default. */
  readonly valueTypes?: boolean;
}

/** Model-local functions came with IR version 8, types inside them with version 10, initializers that are no inputs with 4. */
const FUNCTION_IR_VERSION = 8;
const FUNCTION_TYPES_IR_VERSION = 10;
const LEAST_IR_VERSION = 4;
/** What the readers of a protobuf message accept. */
const SIZE_LIMIT_BYTES = 2 ** 31 - 1;

/**
 * Encodes a model. The bytes depend on nothing but the model: the same model always gives the same file.
 *
 * Constants of a function body, which ONNX does not know, are written as Constant nodes. Of nodes with one name, all but the first
 * get another.
 *
 * @throws {BnnError} E_UNSUPPORTED when the file would exceed the 2 GiB that a protobuf message may have.
 */
export function encodeModel(model: Model, options: EncodeOptions = {}): Uint8Array {
  assertSize(model);
  const withTypes = options.valueTypes ?? true;
  const least = model.functions.length > 0 ? FUNCTION_IR_VERSION : LEAST_IR_VERSION;
  const irVersion = Math.max(model.irVersion, least);
  const withFunctionTypes = withTypes && irVersion >= FUNCTION_TYPES_IR_VERSION;
  const bytes = encodeModelProto({
    irVersion: toLong(irVersion),
    ...textField('producerName', model.producerName),
    ...textField('producerVersion', model.producerVersion),
    ...textField('docString', model.docString),
    graph: encodeGraph(model.graph, withTypes),
    opsetImport: encodeOpsets(model.opsets),
    metadataProps: Array.from(model.metadata, ([key, value]) => ({ key, value })),
    functions: model.functions.map((f) => encodeFunction(f, withFunctionTypes)),
  }).finish();
  // A small message lies in memory that Node shares between buffers.
  return bytes.byteLength === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes);
}

function assertSize(model: Model): void {
  let sizeBytes = 0;
  for (const graph of [model.graph, ...model.functions.map((f) => f.body)]) {
    for (const { constant } of graph.constants()) sizeBytes += constant.data.byteLength;
  }
  if (sizeBytes <= SIZE_LIMIT_BYTES) return;
  throw new BnnError('E_UNSUPPORTED', `the constants take ${sizeBytes} bytes, an ONNX file holds ${SIZE_LIMIT_BYTES}`, {
    at: `graph "${model.graph.name}"`,
    hint: 'pack the binary weights (one bit each) before writing the model',
  });
}

function encodeGraph(graph: Graph, withTypes: boolean): Init<GraphProto> {
  return {
    node: encodeNodes(graph),
    // The standard requires a name.
    name: graph.name === '' ? 'main' : graph.name,
    initializer: Array.from(graph.constants(), (value) => encodeTensor(value.constant, value.name)),
    input: graph.inputs.map((value) => encodeValueInfo(value.name, value)),
    output: graph.outputs.map((value) => encodeValueInfo(value.name, value)),
    valueInfo: withTypes ? encodeInnerTypes(graph) : [],
  };
}

function encodeInnerTypes(graph: Graph): Init<ValueInfoProto>[] {
  const boundary = new Set<Value>([...graph.inputs, ...graph.outputs]);
  return [...graph.values.values()]
    .filter((value) => value.dtype !== null && value.constant === null && !boundary.has(value))
    .map((value) => encodeValueInfo(value.name, value));
}

function encodeNodes(graph: Graph): Init<NodeProto>[] {
  const names = uniqueNames(graph);
  return Array.from(graph.nodes(), (node) => encodeNode(node, names.get(node) ?? node.name));
}

/**
 * Other names for the nodes that are called as one before them, which onnxruntime refuses: the same with a number that makes it one
 * that no node has.
 */
function uniqueNames(graph: Graph): ReadonlyMap<Node, string> {
  const taken = new Set(Array.from(graph.nodes(), ({ name }) => name));
  const counts = new Map<string, number>();
  const names = new Map<Node, string>();
  for (const node of graph.nodes()) {
    const { name } = node;
    if (name === '') continue;
    let count = counts.get(name) ?? 0;
    if (count > 0) {
      while (taken.has(`${name}_${count}`)) count++;
      taken.add(`${name}_${count}`);
      names.set(node, `${name}_${count}`);
    }
    counts.set(name, count + 1);
  }
  return names;
}

function encodeNode(node: Node, name: string): Init<NodeProto> {
  return {
    input: node.inputs.map((value) => value?.name ?? ''),
    output: node.outputs.map((value) => value.name),
    ...textField('name', name),
    opType: node.op,
    attribute: encodeAttributes(node.attributes),
    ...textField('domain', node.domain),
  };
}

function encodeFunction(f: GraphFunction, withTypes: boolean): Init<FunctionProto> {
  const constants = Array.from(
    f.body.constants(),
    (value): Init<NodeProto> => ({
      output: [value.name],
      opType: 'Constant',
      attribute: encodeAttributes({ value: tensorAttribute(value.constant) }),
    }),
  );
  return {
    name: f.name,
    input: f.body.inputs.map((value) => value.name),
    output: f.body.outputs.map((value) => value.name),
    attribute: f.attributes,
    node: [...constants, ...encodeNodes(f.body)],
    opsetImport: encodeOpsets(f.opsets),
    domain: f.domain,
    valueInfo: withTypes ? encodeInnerTypes(f.body) : [],
  };
}

function encodeOpsets(opsets: ReadonlyMap<string, number>): Init<OperatorSetIdProto>[] {
  return Array.from(opsets, ([domain, version]) => ({ domain, version: toLong(version) }));
}

/** Empty texts are left out: absent means the same. */
function textField<K extends string>(name: K, text: string): { readonly [P in K]?: string } {
  return text === '' ? {} : ({ [name]: text } as { readonly [P in K]?: string });
}
