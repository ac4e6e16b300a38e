/** A model: a graph, the functions it calls, and what a file says about itself. */

import { Graph } from './graph.ts';

/** A model-local function: an operator whose meaning is a graph of other operators (ONNX IR version 8 and later). */
export interface GraphFunction {
  readonly domain: string;
  readonly name: string;
  /** The body; its inputs and outputs are the operator's, types left open. Nodes may refer to attributes of the caller. */
  readonly body: Graph;
  /** Names of the attributes that a caller may set. */
  readonly attributes: readonly string[];
  /** Operator set versions that the body is written against. */
  readonly opsets: ReadonlyMap<string, number>;
}

/** The function that a node calls, if any. */
export type FindFunction = (node: { readonly domain: string; readonly op: string }) => GraphFunction | undefined;

export class Model {
  readonly graph: Graph;
  irVersion = 8;
  /** Domain → version; `''` is the standard ONNX domain. */
  readonly opsets = new Map<string, number>([['', 17]]);
  readonly functions: GraphFunction[] = [];
  /** Free text pairs that travel with the file. */
  readonly metadata = new Map<string, string>();
  producerName = 'bnn-toolchain';
  producerVersion = '';
  docString = '';

  constructor(graph: Graph = new Graph()) {
    this.graph = graph;
  }

  /** `findFunction` for many look-ups, as the functions are now. */
  functionFinder(): FindFunction {
    const keyOf = (domain: string, name: string): string => JSON.stringify([domain, name]);
    const found = new Map(this.functions.map((f) => [keyOf(f.domain, f.name), f]));
    return ({ domain, op }) => (found.size === 0 ? undefined : found.get(keyOf(domain, op)));
  }

  /** The function that defines an operator in this model, if any. */
  findFunction(domain: string, name: string): GraphFunction | undefined {
    return this.functions.find((f) => f.domain === domain && f.name === name);
  }
}
