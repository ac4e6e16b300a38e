/** Checks the invariants of the intermediate representation and of a well-formed model. Run after every pass in tests. */

import { elementCount } from '../core/tensors/shape.ts';
import { BnnError } from '../errors.ts';
import type { Graph, Node, Value } from './graph.ts';
import type { FindFunction, GraphFunction, Model } from './model.ts';

/** A graph and what it stands in. */
interface Scope {
  readonly graph: Graph;
  /** `graph "main"` or `function bnn.Sign`. */
  readonly label: string;
  readonly opsets: ReadonlyMap<string, number>;
  /** Attributes of the caller that nodes may refer to; null outside functions. */
  readonly attributes: ReadonlySet<string> | null;
  readonly findFunction: FindFunction;
  readonly knownOps: ReadonlySet<string> | undefined;
}

/** Calls `report` for each violation, naming the node and the value concerned. */
type Check = (scope: Scope, report: Report) => void;
type Report = (message: string, node?: Node | null, value?: Value | null) => void;

interface Rule {
  readonly name: string;
  readonly check: Check;
}

const RULES: readonly Rule[] = [
  {
    name: 'names are unique and keys',
    check({ graph }, report) {
      for (const [key, value] of graph.values) {
        if (value.name !== key) report(`it is listed as "${key}"`, null, value);
        if (value.name === '') report('a value has an empty name', null, value);
      }
    },
  },
  {
    name: 'values are known to the graph',
    check({ graph }, report) {
      const isForeign = (value: Value): boolean => graph.values.get(value.name) !== value;
      for (const node of graph.nodes()) {
        for (const value of node.inputs)
          if (value !== null && isForeign(value)) report('read but unknown', node, value);
        for (const value of node.outputs) if (isForeign(value)) report('produced but unknown', node, value);
      }
      for (const value of graph.inputs) if (isForeign(value)) report('graph input, but unknown', null, value);
      for (const value of graph.outputs) if (isForeign(value)) report('graph output, but unknown', null, value);
    },
  },
  {
    name: 'producers are right',
    check({ graph }, report) {
      const nodes = new Set(graph.nodes());
      for (const node of nodes) {
        for (const value of node.outputs) {
          if (value.producer !== node) report('its producer is another node', node, value);
        }
        if (new Set(node.outputs).size !== node.outputs.length) report('an output is listed twice', node);
      }
      for (const value of graph.values.values()) {
        const { producer } = value;
        if (producer === null) continue;
        if (!nodes.has(producer)) report('its producer is not in the graph', producer, value);
        else if (!producer.outputs.includes(value)) report('its producer does not list it', producer, value);
      }
    },
  },
  {
    name: 'every value has one origin',
    check({ graph }, report) {
      const inputs = new Set(graph.inputs);
      if (inputs.size !== graph.inputs.length) report('an input is listed twice');
      for (const value of graph.values.values()) {
        const origins = [
          ...(value.producer === null ? [] : ['a node']),
          ...(value.constant === null ? [] : ['a constant']),
          ...(inputs.has(value) ? ['a graph input'] : []),
        ];
        // A constant that is also an input is ONNX's default value of an input.
        const isDefault = value.producer === null && origins.length === 2;
        if (origins.length === 0) report('dangling: neither produced nor constant nor input', null, value);
        else if (origins.length > 1 && !isDefault) report(`it is ${origins.join(' and ')}`, null, value);
      }
    },
  },
  {
    name: 'use-lists are consistent',
    check({ graph }, report) {
      const nodes = new Set(graph.nodes());
      const listedOf = new Map<Node, Set<number>>();
      let listed = 0;
      for (const value of graph.values.values()) {
        for (const { node, index } of value.uses) {
          listed++;
          if (!nodes.has(node)) report('used by a node that is not in the graph', node, value);
          else if (node.input(index) !== value) report(`input ${index} is not this value`, node, value);
          const indices = listedOf.get(node) ?? new Set<number>();
          if (indices.has(index)) report(`input ${index} is listed twice`, node, value);
          listedOf.set(node, indices.add(index));
        }
      }
      let read = 0;
      for (const node of nodes) {
        for (const [index, value] of node.inputs.entries()) {
          if (value === null) continue;
          read++;
          if (listedOf.get(node)?.has(index) !== true) report(`input ${index} is missing in the use-list`, node, value);
        }
      }
      if (read !== listed) report(`${read} inputs are read, but ${listed} uses are listed`);
    },
  },
  {
    name: 'values are defined before use',
    check({ graph }, report) {
      const defined = new Set<Value>(graph.inputs);
      for (const value of graph.constants()) defined.add(value);
      for (const node of graph.nodes()) {
        for (const value of node.inputs) {
          if (value !== null && !defined.has(value)) report('read before it is produced', node, value);
        }
        for (const value of node.outputs) defined.add(value);
      }
    },
  },
  {
    name: 'graph outputs are right',
    check({ graph, label, attributes }, report) {
      if (graph.outputs.length === 0 && attributes === null) report(`${label} has no output`);
      if (new Set(graph.outputs).size !== graph.outputs.length) report('an output is listed twice');
    },
  },
  {
    name: 'constants fit their types',
    check({ graph }, report) {
      for (const value of graph.constants()) {
        const { dtype, shape, data } = value.constant;
        if (data.length !== elementCount(shape)) report(`${data.length} elements for shape [${shape}]`, null, value);
        const sameShape =
          value.shape?.length === shape.length && shape.every((size, axis) => value.shape?.[axis] === size);
        if (value.dtype !== dtype || !sameShape) report('its type is not that of its data', null, value);
      }
    },
  },
  {
    name: 'every domain has an operator set version',
    check({ graph, opsets }, report) {
      for (const node of graph.nodes()) {
        if (!opsets.has(node.domain)) report(`domain "${node.domain}" has no operator set version`, node);
      }
    },
  },
  {
    name: 'attribute references stay inside functions',
    check({ graph, attributes }, report) {
      for (const node of graph.nodes()) {
        for (const [name, attribute] of Object.entries(node.attributes)) {
          if (attribute.kind !== 'reference') continue;
          if (attributes === null) report(`attribute ${name} refers to @${attribute.name} outside a function`, node);
          else if (!attributes.has(attribute.name)) {
            report(`attribute ${name} refers to @${attribute.name}, which the function does not declare`, node);
          }
        }
      }
    },
  },
  {
    name: 'calls of functions have no more operands than the function',
    check({ graph, findFunction }, report) {
      for (const node of graph.nodes()) {
        const called = findFunction(node)?.body;
        if (called === undefined) continue;
        if (node.inputs.length > called.inputs.length) {
          report(`${node.inputs.length} inputs, the function has ${called.inputs.length}`, node);
        }
        if (node.outputs.length > called.outputs.length) {
          report(`${node.outputs.length} outputs, the function has ${called.outputs.length}`, node);
        }
      }
    },
  },
  {
    name: 'operators are known',
    check({ graph, findFunction, knownOps }, report) {
      if (knownOps === undefined) return;
      for (const node of graph.nodes()) {
        if (!knownOps.has(node.type) && findFunction(node) === undefined) {
          report(`operator ${node.type} is unknown`, node);
        }
      }
    },
  },
];

/**
 * Checks the main graph and every function of a model.
 *
 * @param knownOps  operator types (`Conv`, `bnn.Sign`) that may occur beside the model's functions; by default any.
 * @throws {BnnError} E_FORMAT at the first violation: the message names the rule, the node and the value.
 */
export function verify(model: Model, knownOps?: ReadonlySet<string>): void {
  const findFunction = model.functionFinder();
  verifyFunctions(model, findFunction);
  const main = { label: `graph "${model.graph.name}"`, opsets: model.opsets, attributes: null };
  verifyScope({ ...main, graph: model.graph, findFunction, knownOps });
  for (const { domain, name, body, opsets, attributes } of model.functions) {
    const label = `function ${domain}.${name}`;
    verifyScope({ graph: body, label, opsets, attributes: new Set(attributes), findFunction, knownOps });
  }
}

function verifyScope(scope: Scope): void {
  for (const { name, check } of RULES) {
    check(scope, (message, node = null, value = null) => {
      const concerned = value === null ? '' : `value "${value.name}": `;
      throw new BnnError('E_FORMAT', `rule "${name}" is broken: ${concerned}${message}`, {
        at: scope.label + (node === null ? '' : ` > ${node.describe()}`),
      });
    });
  }
}

/** Functions that may be called inside each other: far more than exporters nest, and no more than a stack holds. */
const MAX_NESTING = 200;

/** Functions are unique, their domains are imported, and none calls itself, directly or through others, or nests too deep. */
function verifyFunctions(model: Model, findFunction: FindFunction): void {
  const open = new Set<GraphFunction>();
  /** How many functions are inside each other from one on. */
  const heights = new Map<GraphFunction, number>();
  const heightOf = (f: GraphFunction): number => {
    const known = heights.get(f);
    if (known !== undefined) return known;
    const key = `${f.domain}.${f.name}`;
    if (open.has(f)) throw functionError(key, 'it calls itself');
    if (open.size >= MAX_NESTING) throw functionError(key, `it is nested in more than ${MAX_NESTING} functions`);
    open.add(f);
    let height = 0;
    for (const node of f.body.nodes()) {
      const called = findFunction(node);
      if (called !== undefined) height = Math.max(height, heightOf(called));
    }
    open.delete(f);
    if (height >= MAX_NESTING) throw functionError(key, `more than ${MAX_NESTING} functions are nested in it`);
    heights.set(f, height + 1);
    return height + 1;
  };
  const seen = new Set<string>();
  for (const f of model.functions) {
    const { domain, name } = f;
    const key = `${domain}.${name}`;
    if (seen.has(key)) throw functionError(key, 'it is defined twice');
    seen.add(key);
    if (!model.opsets.has(domain)) throw functionError(key, `domain "${domain}" has no operator set version`);
    heightOf(f);
  }
}

function functionError(key: string, message: string): BnnError {
  return new BnnError('E_FORMAT', `rule "functions are well formed" is broken: ${message}`, { at: `function ${key}` });
}
