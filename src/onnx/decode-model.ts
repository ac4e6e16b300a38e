/** Bytes of an ONNX file -> Model. */

import type Long from 'long';
import protobuf from 'protobufjs/minimal.js';
import { BnnError } from '../errors.ts';
import type { Attributes } from '../graph/attribute.ts';
import { Graph } from '../graph/graph.ts';
import { type GraphFunction, Model } from '../graph/model.ts';
import { decodeAttributes } from './attribute-proto.ts';
import { DecodeContext, type ReadExternal } from './decode-context.ts';
import { type AttributeDefaults, decodeDomain, decodeGraph, GraphFiller } from './decode-graph.ts';
import { decodeModelProto } from './generated/decode.ts';
import type { FunctionProto, ModelProto, OperatorSetIdProto } from './generated/onnx.ts';
import { keepPackedRuns } from './packed-numbers.ts';

export interface DecodeOptions {
  /** Where the bytes come from, for messages. */
  readonly at?: string;
  /** Reads tensors that are stored beside the model; without it they are an error. */
  readonly readExternal?: ReadExternal;
}

/** A node with its names and attributes takes about ten fields, so this is far above any real network. */
const FIELD_LIMIT = 1_000_000;
/** Numbers of 64 bits that are not packed: attributes and dimensions. Each takes two bytes in the file and 66 as an object. */
const NUMBER_LIMIT = 4_000_000;

/**
 * Decodes an ONNX model.
 *
 * Normalised on the way: nodes are sorted, Constant nodes and inputs with an initializer become constants, absent trailing
 * outputs are dropped, defaults of function attributes are written into the calling nodes, int64 attributes are clamped to
 * ±2^53. Documentation of nodes and values, training information and quantisation annotations are not kept.
 *
 * @throws {BnnError} E_FORMAT when the bytes are no valid ONNX model, E_UNSUPPORTED for what the IR cannot hold (subgraphs,
 * sparse tensors, strings as tensors, element types below one byte).
 */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): Model {
  const context = new DecodeContext(options.at ?? 'model', options.readExternal);
  const proto = parse(bytes, context);
  if (proto.graph === null) notOnnx(context, `none of its ${bytes.byteLength} bytes describe a graph`);
  if (proto.irVersion === null) notOnnx(context, 'it does not say which IR version it has');

  const model = new Model(new Graph(proto.graph.name || undefined));
  // From version 4 on, initializers need not be inputs, and here they are not.
  model.irVersion = Math.max(4, decodeVersion(proto.irVersion, 'IR version', context));
  model.producerName = proto.producerName ?? '';
  model.producerVersion = proto.producerVersion ?? '';
  model.docString = proto.docString ?? '';
  model.opsets.clear();
  for (const [domain, version] of decodeOpsets(proto.opsetImport, context)) model.opsets.set(domain, version);
  // Operator sets came with IR version 3; before, there was only the first.
  if (model.opsets.size === 0 && proto.irVersion.toNumber() < 3) model.opsets.set('', 1);
  if (model.opsets.size === 0 && proto.graph.node.length > 0) {
    context.fail('the model does not say which operator sets it uses', 'E_FORMAT', 'check that the file is complete');
  }
  for (const { key, value } of proto.metadataProps) model.metadata.set(key ?? '', value ?? '');

  const defaults = decodeDefaults(proto.functions, context);
  for (const f of proto.functions) model.functions.push(decodeFunction(f, context, defaults));
  decodeGraph(proto.graph, model.graph, context, defaults);
  return model;
}

function parse(bytes: Uint8Array, context: DecodeContext): ModelProto {
  if (bytes.byteLength === 0) notOnnx(context, 'it is empty');
  // Node's buffers are faster to read; a browser has none.
  const isNode = typeof Buffer !== 'undefined';
  const view = isNode ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : bytes;
  const reader = protobuf.Reader.create(view);
  limitFields(reader);
  keepPackedRuns(reader);
  try {
    return decodeModelProto(reader);
  } catch (cause) {
    const what = cause instanceof RangeError ? 'the data end or a length is wrong' : String((cause as Error).message);
    return notOnnx(context, `${what} near byte ${reader.pos} of ${bytes.byteLength}`, cause);
  }
}

/**
 * Makes a reader stop after FIELD_LIMIT texts and messages or NUMBER_LIMIT numbers. An empty message takes two bytes in the file but
 * hundreds as an object, so that a small file made for it would otherwise exhaust the memory.
 */
function limitFields(reader: protobuf.Reader): void {
  const readSize = reader.size;
  let [fields, numbers] = [0, 0];
  reader.size = () => {
    if (++fields > FIELD_LIMIT) throw new Error(`more than ${FIELD_LIMIT} texts and messages,`);
    return readSize.call(reader);
  };
  for (const method of ['int64', 'uint64'] as const) {
    const readNumber = reader[method];
    reader[method] = () => {
      if (++numbers > NUMBER_LIMIT) throw new Error(`more than ${NUMBER_LIMIT} numbers that are not packed,`);
      return readNumber.call(reader);
    };
  }
}

function notOnnx(context: DecodeContext, reason: string, cause?: unknown): never {
  throw new BnnError('E_FORMAT', `not an ONNX file: ${reason}`, {
    at: context.at,
    hint: 'check that the file was copied or downloaded completely, and that it is a .onnx file',
    cause,
  });
}

function decodeVersion(version: Long | null, what: string, context: DecodeContext): number {
  const number = version?.toNumber() ?? 0;
  if (!Number.isSafeInteger(number) || number < 0) context.fail(`${what} is ${version}, expected a small number`);
  return number;
}

function decodeOpsets(protos: readonly OperatorSetIdProto[], context: DecodeContext): Map<string, number> {
  const opsets = new Map<string, number>();
  for (const proto of protos) {
    const domain = decodeDomain(proto.domain);
    const version = decodeVersion(proto.version, `the version of operator set "${domain}"`, context);
    const other = opsets.get(domain);
    if (other !== undefined && other !== version) {
      context.fail(`operator set "${domain}" is imported in versions ${other} and ${version}`);
    }
    opsets.set(domain, version);
  }
  return opsets;
}

function functionContext(f: FunctionProto, context: DecodeContext): DecodeContext {
  return context.inside(`function "${decodeDomain(f.domain)}.${f.name ?? ''}"`);
}

/** The IR has no defaults: they are what a caller that leaves the attribute out would have written. */
function decodeDefaults(functions: readonly FunctionProto[], context: DecodeContext): AttributeDefaults {
  const defaults = new Map<string, Attributes>();
  for (const f of functions) {
    const at = functionContext(f, context);
    const key = `${decodeDomain(f.domain)}.${f.name ?? ''}`;
    if (defaults.has(key)) at.fail('the function is defined twice');
    defaults.set(key, decodeAttributes(f.attributeProto, at));
  }
  return defaults;
}

function decodeFunction(f: FunctionProto, context: DecodeContext, defaults: AttributeDefaults): GraphFunction {
  const at = functionContext(f, context);
  const name = f.name ?? '';
  if (name === '') at.fail('a function has no name');
  if (f.overload !== null && f.overload !== '') at.unsupported(`overload "${f.overload}" of a function`);
  const body = new Graph(name);
  const filler = new GraphFiller(body, at, defaults);
  for (const input of f.input) filler.addInput(input, { dtype: null, shape: null });
  filler.addNodes(f.node);
  filler.addTypes(f.valueInfo);
  for (const output of f.output) filler.addOutput(output, { dtype: null, shape: null });
  const domain = decodeDomain(f.domain);
  const attributes = [...new Set([...f.attribute, ...Object.keys(defaults.get(`${domain}.${name}`) ?? {})])];
  return { domain, name, body, attributes, opsets: decodeOpsets(f.opsetImport, at) };
}
