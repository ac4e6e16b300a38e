/**
 * The intermediate representation: an ONNX-shaped dataflow graph that knows nothing of protobuf.
 *
 * - A `Value` is produced by one node, or is a graph input, or is a constant (an ONNX initializer); it knows its uses.
 * - A `Node` applies an operator to values; an absent optional input is `null`.
 * - All edits go through `Graph`, which keeps producers and use-lists right. Nodes form a linked list: while iterating
 *   over `graph.nodes()`, nodes may be removed and inserted anywhere; a node inserted after the current one (or, once that is
 *   removed, after its place) is visited, one inserted before it is not.
 */

import type { Dtype, Tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { AttributeKind, Attributes, AttributeValues } from './attribute.ts';
import { topologicalOrder } from './topological-order.ts';

/** A size, a symbolic size (`"N"`), or null when nothing is known. */
export type Dim = number | string | null;
/** Null when not even the rank is known. */
export type Shape = readonly Dim[];

export interface ValueType {
  readonly dtype: Dtype | null;
  readonly shape: Shape | null;
}

export interface Use {
  readonly node: Node;
  /** Position among the node's inputs. */
  readonly index: number;
}

export class Value {
  dtype: Dtype | null = null;
  shape: Shape | null = null;
  /** @internal maintained by Graph */
  $name: string;
  /** @internal maintained by Graph */
  $producer: Node | null = null;
  /** @internal maintained by Graph */
  $uses: Use[] = [];
  /** @internal maintained by Graph */
  $constant: Tensor | null = null;
  /** @internal maintained by Graph */
  $isOutput = false;

  /** Use `Graph` methods to make values. */
  constructor(name: string) {
    this.$name = name;
  }

  /** Unique within the graph; never empty. */
  get name(): string {
    return this.$name;
  }
  /** The node this is an output of; null for graph inputs and constants. */
  get producer(): Node | null {
    return this.$producer;
  }
  /** Every input of a node that reads this value (graph outputs are not listed: see `isOutput`). */
  get uses(): readonly Use[] {
    return this.$uses;
  }
  /** The data, when this is a constant. */
  get constant(): Tensor | null {
    return this.$constant;
  }
  /** True for a result of the graph. */
  isOutput(): boolean {
    return this.$isOutput;
  }
}

export class Node {
  readonly op: string;
  /** `''` is the standard ONNX domain. */
  readonly domain: string;
  /** For messages; may be empty and need not be unique: `encodeModel` makes it so. */
  name: string;
  readonly outputs: readonly Value[];
  attributes: Attributes;
  /** @internal maintained by Graph */
  $inputs: (Value | null)[];
  /** @internal */
  $previous: Node | null = null;
  /** @internal */
  $next: Node | null = null;
  /** @internal the graph this node is part of; null once removed */
  $graph: Graph | null = null;

  /** Use `Graph.addNode`. */
  constructor(op: string, domain: string, name: string, outputs: readonly Value[], attributes: Attributes) {
    this.op = op;
    this.domain = domain;
    this.name = name;
    this.outputs = outputs;
    this.attributes = attributes;
    this.$inputs = [];
  }

  get inputs(): readonly (Value | null)[] {
    return this.$inputs;
  }

  /** `Conv`, `bnn.Sign`. */
  get type(): string {
    return this.domain === '' ? this.op : `${this.domain}.${this.op}`;
  }

  is(op: string, domain = ''): boolean {
    return this.op === op && this.domain === domain;
  }

  /** The i-th input, or null when it is absent. */
  input(index: number): Value | null {
    return this.$inputs[index] ?? null;
  }

  /**
   * The i-th input, which the operator requires.
   *
   * @throws {BnnError} E_FORMAT when it is absent.
   */
  requiredInput(index: number): Value {
    const value = this.input(index);
    if (value === null) throw new BnnError('E_FORMAT', `${this.type} needs input ${index}`, { at: this.describe() });
    return value;
  }

  /** The first output; every operator of this project has one. */
  get output(): Value {
    const [first] = this.outputs;
    if (first === undefined) throw new BnnError('E_FORMAT', `${this.type} has no output`, { at: this.describe() });
    return first;
  }

  int(name: string, fallback: number): number {
    return this.attribute(name, 'int') ?? fallback;
  }
  float(name: string, fallback: number): number {
    return this.attribute(name, 'float') ?? fallback;
  }
  ints(name: string, fallback: readonly number[]): readonly number[] {
    return this.attribute(name, 'ints') ?? fallback;
  }
  string(name: string, fallback: string): string {
    return this.attribute(name, 'string') ?? fallback;
  }

  /**
   * An attribute of a known kind, or undefined when absent.
   *
   * @throws {BnnError} E_FORMAT when it has another kind.
   */
  attribute<K extends AttributeKind>(name: string, kind: K): AttributeValues[K] | undefined {
    const found = Object.hasOwn(this.attributes, name) ? this.attributes[name] : undefined;
    if (found === undefined) return undefined;
    if (found.kind !== kind) {
      throw new BnnError('E_FORMAT', `attribute ${name} of ${this.type} is ${found.kind}, expected ${kind}`, {
        at: this.describe(),
      });
    }
    return found.value as AttributeValues[K];
  }

  /** `node "conv1" (Conv)` for error messages; names the output when the node has no name. */
  describe(): string {
    return `node "${this.name !== '' ? this.name : (this.outputs[0]?.name ?? '?')}" (${this.type})`;
  }
}

export interface NodeOptions {
  readonly domain?: string;
  readonly name?: string;
  readonly attributes?: Attributes;
  /** Names of the outputs; by default one output with a fresh name. An output that exists and lacks a producer is an error. */
  readonly outputs?: readonly string[];
  /** Inserts before this node; by default at the end. */
  readonly before?: Node;
}

export class Graph {
  name: string;
  readonly #values = new Map<string, Value>();
  readonly #inputs: Value[] = [];
  readonly #outputs: Value[] = [];
  readonly #inputSet = new Set<Value>();
  #constantElements = 0;
  #first: Node | null = null;
  #last: Node | null = null;
  #counter = 0;

  constructor(name = 'main') {
    this.name = name;
  }

  get inputs(): readonly Value[] {
    return this.#inputs;
  }
  get outputs(): readonly Value[] {
    return this.#outputs;
  }

  /** Values by name, in the order in which they were added. */
  get values(): ReadonlyMap<string, Value> {
    return this.#values;
  }

  /** All constants, in the order in which they were added. */
  *constants(): Generator<Value & { readonly constant: Tensor }> {
    for (const value of this.#values.values()) {
      if (value.constant !== null) yield value as Value & { readonly constant: Tensor };
    }
  }

  /** Elements of all constants together. */
  get constantElements(): number {
    return this.#constantElements;
  }

  /** Nodes in execution order; see the header for edits during iteration. */
  *nodes(): Generator<Node> {
    let node = this.#first;
    while (node !== null) {
      yield node;
      // `$previous` of a removed node still leads back into the list, to what stood before its place.
      let reached: Node | null = node;
      while (reached !== null && reached.$graph !== this) reached = reached.$previous;
      node = reached === null ? this.#first : reached.$next;
    }
  }

  isInput(value: Value): boolean {
    return this.#inputSet.has(value);
  }
  /** A name that no value has yet. */
  freshName(stem: string): string {
    if (stem !== '' && !this.#values.has(stem)) return stem;
    let name: string;
    do name = `${stem === '' ? 'v' : stem}_${this.#counter++}`;
    while (this.#values.has(name));
    return name;
  }

  addInput(name: string, type: ValueType): Value {
    const value = this.#create(name);
    value.dtype = type.dtype;
    value.shape = type.shape;
    this.#inputs.push(value);
    this.#inputSet.add(value);
    return value;
  }

  /** Adds a constant; a fresh name is made when `name` is taken. */
  addConstant(name: string, constant: Tensor): Value {
    const value = this.#create(this.freshName(name));
    this.setConstant(value, constant);
    return value;
  }

  /** Replaces the data of a constant (and its dtype and shape). */
  setConstant(value: Value, constant: Tensor): void {
    if (value.$producer !== null) throw new Error(`internal: ${value.name} is computed, it cannot become a constant`);
    this.#constantElements += constant.data.length - (value.$constant?.data.length ?? 0);
    value.$constant = constant;
    value.dtype = constant.dtype;
    value.shape = constant.shape;
  }

  addOutput(value: Value): void {
    this.#outputs.push(value);
    value.$isOutput = true;
  }

  /**
   * Adds a node.
   *
   * @throws {BnnError} E_FORMAT when an output name is taken.
   */
  addNode(op: string, inputs: readonly (Value | null)[], options: NodeOptions = {}): Node {
    const name = options.name ?? '';
    const outputNames = options.outputs ?? [this.freshName(name === '' ? op : name)];
    const outputs = outputNames.map((output) => this.#create(output));
    const node = new Node(op, options.domain ?? '', name, outputs, options.attributes ?? {});
    for (const output of outputs) output.$producer = node;
    node.$graph = this;
    node.$inputs = [...inputs];
    for (const [index, value] of inputs.entries()) value?.$uses.push({ node, index });
    this.#link(node, options.before ?? null);
    return node;
  }

  /** Makes a node read another value. */
  setInput(node: Node, index: number, value: Value | null): void {
    const old = node.$inputs[index] ?? null;
    if (old !== null) dropUse(old, node, index);
    while (node.$inputs.length < index) node.$inputs.push(null);
    node.$inputs[index] = value;
    value?.$uses.push({ node, index });
  }

  /**
   * Makes every reader of `old` read `replacement` instead, except the node that produces the replacement, which may be there to
   * transform `old`. A graph output keeps its name: a computed replacement takes it over, anything else (an input, a constant,
   * another output) is passed through an Identity.
   */
  replaceAllUses(old: Value, replacement: Value): void {
    if (old === replacement) return;
    if (this.isInput(old) && old.isOutput()) {
      throw new Error(`internal: ${old.name} is graph input and output, so its name cannot pass to another value`);
    }
    for (const { node, index } of [...old.$uses]) {
      if (node !== replacement.$producer) this.setInput(node, index, replacement);
    }
    if (!old.isOutput()) return;
    const name = old.name;
    let output = replacement;
    this.#rename(old, this.freshName(`${name}_old`));
    if (replacement.$producer === null || replacement.isOutput()) {
      output = this.addNode('Identity', [replacement], { outputs: [name] }).output;
      output.dtype = replacement.dtype;
      output.shape = replacement.shape;
    } else {
      this.#rename(replacement, name);
    }
    for (const [i, value] of this.#outputs.entries()) if (value === old) this.#outputs[i] = output;
    old.$isOutput = false;
    output.$isOutput = true;
  }

  /**
   * Removes a node and its outputs.
   *
   * @throws {Error} when an output is still read or is a graph output.
   */
  removeNode(node: Node): void {
    if (node.$graph !== this) throw new Error(`internal: ${node.describe()} is not in graph ${this.name}`);
    for (const output of node.outputs) {
      if (output.$uses.length > 0 || output.isOutput()) {
        throw new Error(`internal: output ${output.name} of ${node.describe()} is still used`);
      }
    }
    for (const [index, value] of node.$inputs.entries()) if (value !== null) dropUse(value, node, index);
    for (const output of node.outputs) this.#values.delete(output.name);
    if (node.$previous === null) this.#first = node.$next;
    else node.$previous.$next = node.$next;
    if (node.$next === null) this.#last = node.$previous;
    else node.$next.$previous = node.$previous;
    node.$graph = null;
  }

  /** Removes a constant that nothing reads. */
  removeConstant(value: Value): void {
    if (value.$constant === null || this.isInput(value)) {
      throw new Error(`internal: ${value.name} is no constant, or a graph input too`);
    }
    if (value.$uses.length > 0 || value.isOutput()) throw new Error(`internal: constant ${value.name} is still used`);
    this.#values.delete(value.name);
    this.#constantElements -= value.$constant.data.length;
  }

  /** Reorders the nodes so that every value is produced before it is read, else keeps their order; throws E_FORMAT on a cycle. */
  sortTopologically(): void {
    const sorted = topologicalOrder([...this.nodes()]);
    this.#first = null;
    this.#last = null;
    for (const node of sorted) this.#link(node, null);
  }

  #create(name: string): Value {
    if (name === '') throw new BnnError('E_FORMAT', 'a value has an empty name', { at: `graph "${this.name}"` });
    if (this.#values.has(name)) {
      throw new BnnError('E_FORMAT', `two values are called "${name}"`, { at: `graph "${this.name}"` });
    }
    const value = new Value(name);
    this.#values.set(name, value);
    return value;
  }

  #rename(value: Value, name: string): void {
    this.#values.delete(value.name);
    value.$name = name;
    this.#values.set(name, value);
  }

  #link(node: Node, before: Node | null): void {
    const previous = before === null ? this.#last : before.$previous;
    node.$previous = previous;
    node.$next = before;
    if (previous === null) this.#first = node;
    else previous.$next = node;
    if (before === null) this.#last = node;
    else before.$previous = node;
  }
}

function dropUse(value: Value, node: Node, index: number): void {
  const at = value.$uses.findIndex((use) => use.node === node && use.index === index);
  if (at < 0) throw new Error(`internal: use-list of ${value.name} lacks input ${index} of ${node.describe()}`);
  value.$uses.splice(at, 1);
}
