/** Fills a Graph from the messages of a graph or of a function body. */

import type { Attributes } from '../graph/attribute.ts';
import type { Graph, NodeOptions, Value, ValueType } from '../graph/graph.ts';
import { decodeAttributes } from './attribute-proto.ts';
import { constantTensor } from './constant-node.ts';
import type { DecodeContext } from './decode-context.ts';
import type { GraphProto, NodeProto, ValueInfoProto } from './generated/onnx.ts';
import { describeNode, sortNodes } from './sort-nodes.ts';
import { decodeTensor } from './tensor-proto.ts';
import { decodeInnerType, decodeType } from './type-proto.ts';

/** Defaults for attributes that a node leaves out, by `domain.op`: what the functions of the model declare. */
export type AttributeDefaults = ReadonlyMap<string, Attributes>;

/** `ai.onnx` is the long name of the standard domain. */
export function decodeDomain(domain: string | null): string {
  return domain === null || domain === 'ai.onnx' ? '' : domain;
}

/** The main graph: typed inputs and outputs, initializers as constants. */
export function decodeGraph(
  proto: GraphProto,
  graph: Graph,
  context: DecodeContext,
  defaults: AttributeDefaults,
): void {
  const [sparse] = proto.sparseInitializer;
  if (sparse !== undefined) {
    context.inside(`sparse initializer "${sparse.values?.name ?? ''}"`).unsupported('sparse tensors');
  }
  const initializers = new Set(proto.initializer.map((tensor) => tensor.name ?? ''));
  const filler = new GraphFiller(graph, context, defaults);
  for (const input of proto.input) {
    const name = input.name ?? '';
    // Before IR version 4 every initializer was listed as an input too; later such an entry is a default that nobody overrides here.
    if (!initializers.has(name)) filler.addInput(name, decodeType(input.type, context.inside(`input "${name}"`)));
  }
  for (const tensor of proto.initializer) {
    const name = tensor.name ?? '';
    filler.claim(name, `initializer "${name}"`);
    graph.addConstant(name, decodeTensor(tensor, context));
  }
  filler.addNodes(proto.node);
  filler.addTypes(proto.valueInfo);
  for (const output of proto.output) {
    const name = output.name ?? '';
    filler.addOutput(name, decodeType(output.type, context.inside(`output "${name}"`)));
  }
}

export class GraphFiller {
  readonly #graph: Graph;
  readonly #context: DecodeContext;
  readonly #defaults: AttributeDefaults;
  readonly #claimed = new Set<string>();
  #absentOutputs = 0;

  constructor(graph: Graph, context: DecodeContext, defaults: AttributeDefaults) {
    this.#graph = graph;
    this.#context = context;
    this.#defaults = defaults;
  }

  /** Reserves the name of a value; throws when it is empty or taken. */
  claim(name: string, what: string): void {
    if (name === '') this.#context.inside(what).fail('a value has an empty name');
    if (this.#claimed.has(name)) this.#context.inside(what).fail(`two values are called "${name}"`);
    this.#claimed.add(name);
  }

  addInput(name: string, type: ValueType): void {
    this.claim(name, `input "${name}"`);
    this.#graph.addInput(name, type);
  }

  addNodes(nodes: readonly NodeProto[]): void {
    for (const node of nodes) {
      for (const output of node.output) if (output !== '') this.claim(output, describeNode(node));
    }
    for (const node of sortNodes(nodes, this.#context)) this.#addNode(node);
  }

  addOutput(name: string, type: ValueType): void {
    const value = this.#graph.values.get(name);
    if (value === undefined) this.#context.fail(`output "${name}" is produced by no node`);
    fillType(value, type);
    this.#graph.addOutput(value);
  }

  addTypes(infos: readonly ValueInfoProto[]): void {
    for (const info of infos) {
      const value = this.#graph.values.get(info.name ?? '');
      const type = decodeInnerType(info.type);
      if (value !== undefined && type !== undefined) fillType(value, type);
    }
  }

  #addNode(proto: NodeProto): void {
    const at = this.#context.inside(describeNode(proto));
    const op = proto.opType ?? '';
    if (op === '') at.fail('the node names no operator');
    if (proto.overload !== null && proto.overload !== '') at.unsupported(`overload "${proto.overload}" of an operator`);
    const domain = decodeDomain(proto.domain);
    const own = decodeAttributes(proto.attribute, at);
    if (op === 'Constant' && domain === '' && proto.output.length === 1) {
      const constant = constantTensor(own, at);
      if (constant !== undefined) {
        this.#graph.addConstant(proto.output[0] ?? '', constant);
        return;
      }
    }
    const inputs = proto.input.map((name) => this.#input(name, at));
    const defaults = this.#defaults.get(`${domain}.${op}`);
    const options: NodeOptions = {
      domain,
      name: proto.name ?? '',
      attributes: defaults === undefined ? own : { ...defaults, ...own },
      outputs: this.#outputs(proto),
    };
    this.#graph.addNode(op, inputs, options);
  }

  #input(name: string, at: DecodeContext): Value | null {
    if (name === '') return null;
    const value = this.#graph.values.get(name);
    return value ?? at.fail(`the node reads "${name}", which nothing produces`);
  }

  /** Trailing absent outputs are dropped; one between others gets a name that nothing reads. */
  #outputs(proto: NodeProto): string[] {
    const present = proto.output.findLastIndex((name) => name !== '') + 1;
    return proto.output.slice(0, present).map((name) => (name === '' ? this.#absentName() : name));
  }

  #absentName(): string {
    let name: string;
    do name = `absent_${this.#absentOutputs++}`;
    while (this.#claimed.has(name));
    this.#claimed.add(name);
    return name;
  }
}

/** The data of a constant know better than what is said about them. */
function fillType(value: Value, type: ValueType): void {
  if (value.constant !== null) return;
  value.dtype ??= type.dtype;
  value.shape ??= type.shape;
}
