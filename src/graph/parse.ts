/** Reads what `printModel` wrote with the data in full; see there for the notation. */

import { DTYPES, type Tensor } from '../core/tensors/tensor.ts';
import { type Attribute, type AttributeKind, type Attributes, reference } from './attribute.ts';
import { type Dim, Graph, type Node, type Shape, type Value, type ValueType } from './graph.ts';
import { type GraphFunction, Model } from './model.ts';
import { parseFloatText } from './number-text.ts';
import { parseData } from './tensor-text.ts';
import { type Mark, TextScanner } from './text-scanner.ts';

const BARE_VALUE = /[A-Za-z0-9_./-]+(?::+[A-Za-z0-9_./-]+)*/y;
/** The domain of an operator, or the operator itself: `bnn`, `ai.onnx.ml`, `Conv`. */
const DOMAIN = /[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*/y;
const SCALAR = /(nan|-?inf)\b|(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)([fd])|(-?\d+)(?![.\w])/y;
const KINDS: readonly AttributeKind[] = ['int', 'float', 'string', 'tensor', 'ints', 'floats', 'strings'];

/** An input that may be produced further down. */
interface Reading {
  readonly node: Node;
  readonly index: number;
  readonly name: string;
  readonly mark: Mark;
}

/**
 * Parses the text of a model.
 *
 * @param file  name for messages.
 * @throws {BnnError} E_FORMAT: what was found, what was expected, at which line and column.
 */
export function parseModel(text: string, file?: string): Model {
  return new ModelParser(new TextScanner(text, file)).model();
}

class ModelParser {
  readonly #scanner: TextScanner;

  constructor(scanner: TextScanner) {
    this.#scanner = scanner;
  }

  model(): Model {
    const s = this.#scanner;
    s.expect('model');
    s.expect('ir');
    const irVersion = s.integer('the IR version');
    const opsets = new Map<string, number>();
    while (s.accept(',')) {
      s.expect('opset');
      this.#opset(opsets);
    }
    s.expect('producer');
    const producerName = s.string('the name of the producer in quotes');
    const producerVersion = s.string('the version of the producer in quotes');
    const docString = s.accept('doc') ? s.string('the documentation in quotes') : '';
    const metadata: [string, string][] = [];
    while (s.accept('metadata')) metadata.push([s.string('a key in quotes'), s.string('a text in quotes')]);
    s.expect('graph', '"metadata" or "graph"');
    const model = new Model(this.#graph());
    model.irVersion = irVersion;
    model.producerName = producerName;
    model.producerVersion = producerVersion;
    model.docString = docString;
    model.opsets.clear();
    for (const [domain, version] of opsets) model.opsets.set(domain, version);
    for (const [key, value] of metadata) model.metadata.set(key, value);
    while (!s.atEnd) {
      s.expect('function', '"function" or the end of the text');
      model.functions.push(this.#function());
    }
    return model;
  }

  /** After the word `opset`. */
  #opset(opsets: Map<string, number>): void {
    opsets.set(this.#scanner.string('a domain in quotes'), this.#scanner.integer('the version of the operator set'));
  }

  #graph(): Graph {
    const s = this.#scanner;
    const graph = new Graph(s.string('the name of the graph in quotes'));
    s.expect('{');
    while (s.accept('input')) {
      const value = this.#input(graph);
      if (s.accept('=')) graph.setConstant(value, this.#constantData(value));
    }
    this.#body(graph, () => {
      while (s.accept('output')) graph.addOutput(this.#known(graph));
    });
    return graph;
  }

  #function(): GraphFunction {
    const s = this.#scanner;
    const { domain, op: name } = this.#operator();
    const body = new Graph(name);
    s.expect('(');
    this.#list(')', () => this.#input(body));
    s.expect('->');
    s.expect('(');
    const outputs: { name: string; mark: Mark }[] = [];
    this.#list(')', () => outputs.push({ mark: s.mark(), name: this.#valueName() }));
    s.expect('attributes');
    s.expect('[');
    const attributes: string[] = [];
    this.#list(']', () => attributes.push(this.#word('the name of an attribute')));
    if (s.accept('body')) body.name = s.string('the name of the body in quotes');
    const opsets = new Map<string, number>();
    while (s.accept('opset')) this.#opset(opsets);
    s.expect('{', '"opset" or "{"');
    this.#body(body, () => {});
    for (const output of outputs) body.addOutput(findValue(body, output.name, output.mark));
    return { domain, name, body, attributes, opsets };
  }

  /** Constants, nodes and what `finish` reads, up to the closing brace. */
  #body(graph: Graph, finish: () => void): void {
    const s = this.#scanner;
    while (s.accept('const')) {
      const mark = s.mark();
      const name = this.#newName(graph);
      s.expect(':');
      const type = this.#type();
      s.expect('=');
      graph.addConstant(name, this.#data(type, mark));
    }
    const readings: Reading[] = [];
    while (this.#node(graph, readings)) {}
    for (const { node, index, name, mark } of readings) graph.setInput(node, index, findValue(graph, name, mark));
    finish();
    s.expect('}', 'a node, an output or "}"');
  }

  #input(graph: Graph): Value {
    const name = this.#newName(graph);
    return graph.addInput(name, this.#optionalType());
  }

  #constantData(value: Value): Tensor {
    return this.#data({ dtype: value.dtype, shape: value.shape }, this.#scanner.mark());
  }

  #data({ dtype, shape }: ValueType, mark: Mark): Tensor {
    if (dtype === null || shape === null) return mark.fail('the dtype and the shape of the data', 'an open type');
    const sizes = shape.filter((dim) => typeof dim === 'number');
    if (sizes.length !== shape.length) return mark.fail('a shape of numbers', `[${shape.join(', ')}]`);
    return parseData(this.#scanner, dtype, sizes);
  }

  /** Whether a node came next. */
  #node(graph: Graph, readings: Reading[]): boolean {
    const s = this.#scanner;
    const outputs: { name: string; type: ValueType }[] = [];
    if (s.accept('(')) {
      s.expect(')');
    } else {
      if (!s.accept('%')) return false;
      do {
        if (outputs.length > 0) s.expect('%', 'a value: %name');
        const mark = s.mark();
        const name = this.#nameAfterPercent();
        if (graph.values.has(name) || outputs.some((o) => o.name === name)) mark.fail('a new name', `%${name} again`);
        outputs.push({ name, type: this.#optionalType() });
      } while (s.accept(','));
    }
    s.expect('=', '":", "," or "="');
    const { domain, op } = this.#operator();
    s.expect('(');
    const inputs: (Omit<Reading, 'node' | 'index'> | null)[] = [];
    this.#list(')', () => {
      inputs.push(s.accept('_') ? null : { mark: s.mark(), name: this.#valueName() });
    });
    const attributes = s.accept('{') ? this.#attributes() : {};
    const name = s.acceptString() ?? '';
    const names = outputs.map((output) => output.name);
    const absent = inputs.map(() => null);
    const node = graph.addNode(op, absent, { domain, name, attributes, outputs: names });
    for (const [i, value] of node.outputs.entries()) Object.assign(value, outputs[i]?.type);
    for (const [index, input] of inputs.entries()) if (input !== null) readings.push({ node, index, ...input });
    return true;
  }

  /** `Conv`, `bnn::Sign`, `ai.onnx.ml::Scaler`; either part may be in quotes. */
  #operator(): { domain: string; op: string } {
    const s = this.#scanner;
    const first = s.acceptString() ?? s.match(DOMAIN)?.[0] ?? s.fail('an operator');
    return s.accept('::') ? { domain: first, op: this.#word('an operator') } : { domain: '', op: first };
  }

  #attributes(): Attributes {
    const entries: [string, Attribute][] = [];
    this.#list('}', () => {
      const name = this.#word('the name of an attribute');
      this.#scanner.expect('=');
      entries.push([name, this.#attribute()]);
    });
    return Object.fromEntries(entries);
  }

  #attribute(): Attribute {
    const s = this.#scanner;
    if (s.accept('@')) {
      const name = this.#word('the name of an attribute');
      s.expect(':');
      return reference(name, this.#oneOf(KINDS, 'a kind of attribute'));
    }
    if (s.accept('[')) return this.#listAttribute();
    for (const kind of ['ints', 'floats', 'strings'] as const) {
      if (!s.accept(kind)) continue;
      s.expect('[');
      s.expect(']');
      return { kind, value: [] };
    }
    const scalar = this.#scalar();
    if (scalar !== undefined) return scalar;
    const mark = s.mark();
    const dtype = this.#oneOf(DTYPES, 'a value: 1, 1f, "text", [1, 2], float32[2] [1, 2] or @name : kind');
    return { kind: 'tensor', value: this.#data({ dtype, shape: this.#shape() }, mark) };
  }

  /** The elements have the kind of the first. */
  #listAttribute(): Attribute {
    const ints: number[] = [];
    const floats: number[] = [];
    const strings: string[] = [];
    let kind: Attribute['kind'] | undefined;
    this.#list(']', () => {
      const mark = this.#scanner.mark();
      const element = this.#scalar() ?? this.#scanner.fail('a number or a text in quotes');
      kind ??= element.kind;
      if (element.kind !== kind) mark.fail(`another ${kind}`, `a value of kind ${element.kind}`);
      if (element.kind === 'int') ints.push(element.value);
      else if (element.kind === 'float') floats.push(element.value);
      else strings.push(element.value);
    });
    if (kind === 'float') return { kind: 'floats', value: floats };
    return kind === 'string' ? { kind: 'strings', value: strings } : { kind: 'ints', value: ints };
  }

  /** A number or a text; undefined when neither comes next. */
  #scalar(): Extract<Attribute, { kind: 'int' | 'float' | 'string' }> | undefined {
    const text = this.#scanner.acceptString();
    if (text !== undefined) return { kind: 'string', value: text };
    const number = this.#scanner.match(SCALAR);
    if (number === undefined) return undefined;
    const [, special, decimal, suffix, integer] = number;
    if (integer !== undefined) return { kind: 'int', value: Number(integer) };
    const value = parseFloatText(special ?? decimal ?? '');
    return { kind: 'float', value: suffix === 'f' ? Math.fround(value) : value };
  }

  #optionalType(): ValueType {
    return this.#scanner.accept(':') ? this.#type() : { dtype: null, shape: null };
  }

  #type(): ValueType {
    const dtype = this.#scanner.accept('?') ? null : this.#oneOf(DTYPES, 'a dtype or "?"');
    return { dtype, shape: this.#shape() };
  }

  #shape(): Shape | null {
    const s = this.#scanner;
    s.expect('[');
    if (s.accept('...')) {
      s.expect(']');
      return null;
    }
    const dims: Dim[] = [];
    this.#list(']', () => {
      const size = s.accept('?') ? null : s.match(/\d+/y)?.[0];
      dims.push(size === undefined ? this.#word('a size, a symbol or "?"') : size === null ? null : Number(size));
    });
    return dims;
  }

  #known(graph: Graph): Value {
    const mark = this.#scanner.mark();
    return findValue(graph, this.#valueName(), mark);
  }

  #newName(graph: Graph): string {
    const mark = this.#scanner.mark();
    const name = this.#valueName();
    return graph.values.has(name) ? mark.fail('a new name', `%${name} again`) : name;
  }

  #valueName(): string {
    this.#scanner.expect('%', 'a value: %name');
    return this.#nameAfterPercent();
  }

  #nameAfterPercent(): string {
    const s = this.#scanner;
    const mark = s.mark();
    const name = s.acceptString() ?? s.match(BARE_VALUE)?.[0] ?? s.fail('the name of a value');
    return name === '' ? mark.fail('a name', 'an empty one') : name;
  }

  #word(description: string): string {
    return this.#scanner.acceptString() ?? this.#scanner.word(description);
  }

  #oneOf<T extends string>(words: readonly T[], description: string): T {
    const mark = this.#scanner.mark();
    const word = this.#scanner.word(description);
    return words.find((known) => known === word) ?? mark.fail(description, word);
  }

  /** Elements separated by commas, up to `close`; the opening bracket is read. */
  #list(close: string, element: () => void): void {
    for (let first = true; !this.#scanner.accept(close); first = false) {
      if (!first) this.#scanner.expect(',', `"," or "${close}"`);
      element();
    }
  }
}

function findValue(graph: Graph, name: string, mark: Mark): Value {
  return graph.values.get(name) ?? mark.fail('a value of this graph', `%${name}`);
}
