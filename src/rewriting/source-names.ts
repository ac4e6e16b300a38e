/** What users know the nodes and values of a rewritten graph by. */

import type { Graph, Node, Value } from '../graph/graph.ts';

/** Nodes that a search for a known one may look at. */
const MAX_SEARCH = 256;

/**
 * The names that stand in a source. What a rewrite makes has a name that no user has seen: it is told by what it stands for, or by the
 * nearest thing in front of it that the source has.
 */
export class SourceNames {
  readonly #values: ReadonlySet<string>;
  readonly #nodes: ReadonlySet<string>;
  readonly #inherited = new WeakMap<Node | Value, string>();

  constructor(source: Graph) {
    this.#values = new Set(source.values.keys());
    this.#nodes = new Set(Array.from(source.nodes(), ({ name }) => name));
  }

  /** Says that something new stands for something else. */
  inherit<T extends Node | Value>(heir: T, from: T): void {
    const known = isNode(from) ? this.#known(from) : this.#knownValue(from);
    if (known !== null) this.#inherited.set(heir, known);
  }

  /** Says so of all that a copy of a graph consists of. */
  inheritAll(copy: Graph, from: Graph): void {
    for (const value of from.values.values()) {
      const heir = copy.values.get(value.name);
      if (heir === undefined) continue;
      this.inherit(heir, value);
      if (heir.producer !== null && value.producer !== null) this.inherit(heir.producer, value.producer);
    }
  }

  /** The node's name, that of its output when it has none, or in words where it is. */
  nameOf(node: Node): string {
    return this.#known(node) ?? this.#place(node);
  }

  /** `node "conv1" (Conv)`, or in words where it is: `the Mul behind "conv1"`. */
  describe(node: Node): string {
    const known = this.#known(node);
    return known === null ? this.#place(node) : `node "${known}" (${node.type})`;
  }

  /** The value's name, or what computes it in brackets. */
  describeValue(value: Value): string {
    const known = this.#knownValue(value);
    if (known !== null) return known;
    return value.producer === null ? '(a constant)' : `(of ${this.describe(value.producer)})`;
  }

  #known(node: Node): string | null {
    const inherited = this.#inherited.get(node);
    if (inherited !== undefined) return inherited;
    if (node.name !== '') return this.#nodes.has(node.name) ? node.name : null;
    const output = node.outputs[0]?.name ?? '';
    return this.#values.has(output) ? output : null;
  }

  #knownValue(value: Value): string | null {
    return this.#values.has(value.name) ? value.name : (this.#inherited.get(value) ?? null);
  }

  /** By the nearest known node in front of it, or input of the graph. */
  #place({ type, inputs }: Node): string {
    const seen = new Set<Value>();
    const pending = inputs.filter((input) => input !== null);
    for (const value of pending) {
      if (seen.size > MAX_SEARCH) break;
      if (seen.has(value) || value.constant !== null) continue;
      seen.add(value);
      if (value.producer === null) return `the ${type} behind the input "${value.name}"`;
      const known = this.#known(value.producer);
      if (known !== null) return `the ${type} behind "${known}"`;
      for (const input of value.producer.inputs) if (input !== null) pending.push(input);
    }
    return `a ${type} of constants`;
  }
}

function isNode(thing: Node | Value): thing is Node {
  return 'outputs' in thing;
}
