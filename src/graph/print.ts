/**
 * Models as text: stable, one node per line, and, with the data in full, read back exactly by `parseModel`.
 *
 *     model ir 8, opset "" 17, opset "bnn" 1
 *     producer "bnn-toolchain" ""
 *     graph "main" {
 *       input %x : float32[N, 3]
 *       const %w : float32[2, 3] = [1, 0, -1, 0.5, 2, nan]
 *       %s : float32[N, 3] = bnn::Sign(%x)
 *       %y : float32[N, 2] = Gemm(%s, %w, _) {transB = 1, alpha = 1f} "fc"
 *       output %y
 *     }
 *     function bnn::Sign(%x) -> (%y) attributes [] opset "" 17 {
 *       …
 *     }
 *
 * Attribute values: `1` int, `1f` float that a float32 holds, `1d` any other float, `"s"`, `float32[2] [1, 2]` tensor, `[1, 2]`,
 * `[1f]`, `["s"]` lists (`ints[]` … when empty), `@name : ints` reference to an attribute of the caller. `_` is an absent input.
 */

import type { Attribute, Attributes } from './attribute.ts';
import { BARE_WORD, formatShape, formatType } from './format-type.ts';
import type { Graph, Node, Value } from './graph.ts';
import type { GraphFunction, Model } from './model.ts';
import { formatFloat32, formatFloat64 } from './number-text.ts';
import { type DataForm, formatData } from './tensor-text.ts';

/** Value names without quotes: also paths and namespaces, `/layer1/Conv_output_0`, `onnx::Conv_1`. */
const BARE_VALUE = /^[A-Za-z0-9_./-]+(?::+[A-Za-z0-9_./-]+)*$/;
const BARE_DOMAIN = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*$/;

export interface PrintOptions {
  /** By default `full`. */
  readonly data?: DataForm;
}

export function printModel(model: Model, { data = 'full' }: PrintOptions = {}): string {
  const opsets = formatOpsets(model.opsets);
  const lines = [
    [`model ir ${model.irVersion}`, ...opsets].join(', '),
    `producer ${JSON.stringify(model.producerName)} ${JSON.stringify(model.producerVersion)}`,
    ...(model.docString === '' ? [] : [`doc ${JSON.stringify(model.docString)}`]),
    ...Array.from(model.metadata, ([key, value]) => `metadata ${JSON.stringify(key)} ${JSON.stringify(value)}`),
    ...printGraph(model.graph, data),
    ...model.functions.flatMap((f) => printFunction(f, data)),
  ];
  return `${lines.join('\n')}\n`;
}

function formatOpsets(opsets: ReadonlyMap<string, number>): string[] {
  return Array.from(opsets, ([domain, version]) => `opset ${JSON.stringify(domain)} ${version}`);
}

function printGraph(graph: Graph, data: DataForm): string[] {
  return [
    `graph ${JSON.stringify(graph.name)} {`,
    ...graph.inputs.map((value) => {
      const initial = value.constant === null ? '' : ` = ${formatData(value.constant, data)}`;
      return `  input ${typedValue(value)}${initial}`;
    }),
    ...printBody(graph, data),
    ...graph.outputs.map((value) => `  output ${formatValue(value)}`),
    '}',
  ];
}

function printFunction({ domain, name, body, attributes, opsets }: GraphFunction, data: DataForm): string[] {
  const list = (values: readonly Value[]): string => values.map(typedValue).join(', ');
  const outputs = body.outputs.map(formatValue).join(', ');
  const clauses = [
    `function ${formatOperator(domain, name)}(${list(body.inputs)}) -> (${outputs})`,
    `attributes [${attributes.map(formatWord).join(', ')}]`,
    ...(body.name === name ? [] : [`body ${JSON.stringify(body.name)}`]),
    ...formatOpsets(opsets),
  ];
  return [`${clauses.join(' ')} {`, ...printBody(body, data), '}'];
}

function printBody(graph: Graph, data: DataForm): string[] {
  const inputs = new Set<Value>(graph.inputs);
  const constants = [...graph.constants()].filter((value) => !inputs.has(value));
  return [
    ...constants.map((value) => `  const ${typedValue(value)} = ${formatData(value.constant, data)}`),
    ...Array.from(graph.nodes(), (node) => `  ${formatNode(node, data)}`),
  ];
}

/** One line: outputs, operator, inputs, attributes, name. */
export function formatNode(node: Node, data: DataForm = 'summary'): string {
  const outputs = node.outputs.length === 0 ? '()' : node.outputs.map(typedValue).join(', ');
  const inputs = node.inputs.map((value) => (value === null ? '_' : formatValue(value))).join(', ');
  const attributes = formatAttributes(node.attributes, data);
  const name = node.name === '' ? '' : ` ${JSON.stringify(node.name)}`;
  return `${outputs} = ${formatOperator(node.domain, node.op)}(${inputs})${attributes}${name}`;
}

function formatOperator(domain: string, op: string): string {
  if (domain === '') return formatWord(op);
  return `${BARE_DOMAIN.test(domain) ? domain : JSON.stringify(domain)}::${formatWord(op)}`;
}

function formatWord(word: string): string {
  return BARE_WORD.test(word) ? word : JSON.stringify(word);
}

function formatValue(value: Value): string {
  return `%${BARE_VALUE.test(value.name) ? value.name : JSON.stringify(value.name)}`;
}

function typedValue(value: Value): string {
  const known = value.dtype !== null || value.shape !== null;
  return formatValue(value) + (known ? ` : ${formatType(value)}` : '');
}

function formatAttributes(attributes: Attributes, data: DataForm): string {
  const entries = Object.entries(attributes);
  if (entries.length === 0) return '';
  return ` {${entries.map(([name, value]) => `${formatWord(name)} = ${formatAttribute(value, data)}`).join(', ')}}`;
}

function formatAttribute(attribute: Attribute, data: DataForm): string {
  switch (attribute.kind) {
    case 'int':
      return formatInt(attribute.value);
    case 'float':
      return formatFloat(attribute.value);
    case 'string':
      return JSON.stringify(attribute.value);
    case 'ints':
      return formatList('ints', attribute.value.map(formatInt));
    case 'floats':
      return formatList('floats', attribute.value.map(formatFloat));
    case 'strings':
      return formatList(
        'strings',
        attribute.value.map((s) => JSON.stringify(s)),
      );
    case 'tensor': {
      const { dtype, shape } = attribute.value;
      return `${dtype}${formatShape(shape)} ${formatData(attribute.value, data)}`;
    }
    case 'reference':
      return `@${formatWord(attribute.name)} : ${attribute.of}`;
  }
  return attribute satisfies never;
}

function formatList(kind: string, elements: readonly string[]): string {
  return elements.length === 0 ? `${kind}[]` : `[${elements.join(', ')}]`;
}

/** All digits, where `String` would switch to an exponent. */
function formatInt(value: number): string {
  return Number.isInteger(value) ? String(BigInt(value)) : String(value);
}

function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return formatFloat64(value);
  return Math.fround(value) === value ? `${formatFloat32(value)}f` : `${formatFloat64(value)}d`;
}
