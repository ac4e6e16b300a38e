import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementCount } from '../../src/core/tensors/shape.ts';
import { bytesPerElement, DTYPES, fromBytes, type Tensor } from '../../src/core/tensors/tensor.ts';
import type { Attribute, AttributeKind } from '../../src/graph/attribute.ts';
import { type Dim, Graph, type Value } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { describeModel } from './describe-model.ts';
import { convModel, functionModel } from './sample-models.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const safeInteger = fc.integer({ min: -(2 ** 53), max: 2 ** 53 });
const float32Number = fc.float({ noNaN: false });

const anyTensor: fc.Arbitrary<Tensor> = fc
  .record({
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.nat({ max: 4 }), { maxLength: 3 }),
    seed: fc.nat(255),
  })
  .map(({ dtype, shape, seed }) => {
    const bytes = new Uint8Array(elementCount(shape) * bytesPerElement(dtype));
    for (let i = 0; i < bytes.length; i++) bytes[i] = dtype === 'bool' ? (seed + i) % 2 : (seed * 31 + i * 7) % 256;
    return fromBytes(dtype, shape, bytes);
  });

const plainAttribute: fc.Arbitrary<Attribute> = fc.oneof(
  safeInteger.map((value): Attribute => ({ kind: 'int', value })),
  float32Number.map((value): Attribute => ({ kind: 'float', value })),
  text.map((value): Attribute => ({ kind: 'string', value })),
  anyTensor.map((value): Attribute => ({ kind: 'tensor', value })),
  fc.array(safeInteger).map((value): Attribute => ({ kind: 'ints', value })),
  fc.array(float32Number).map((value): Attribute => ({ kind: 'floats', value })),
  fc.array(text).map((value): Attribute => ({ kind: 'strings', value })),
);
const KINDS: AttributeKind[] = ['int', 'float', 'string', 'tensor', 'ints', 'floats', 'strings'];
const anyReference: fc.Arbitrary<Attribute> = fc
  .record({ name: text.filter((name) => name !== ''), of: fc.constantFrom(...KINDS) })
  .map(({ name, of }) => ({ kind: 'reference', name, of }));

const attributeName = text.filter((name) => name !== '');
const attributesOf = (attribute: fc.Arbitrary<Attribute>) =>
  fc.array(fc.tuple(attributeName, attribute), { maxLength: 4 }).map((entries) => Object.fromEntries(entries));

const dim: fc.Arbitrary<Dim> = fc.oneof(fc.nat(), fc.constantFrom('N', 'batch'), fc.constant(null));
const valueType = fc.record({
  dtype: fc.constantFrom(...DTYPES),
  shape: fc.option(fc.array(dim, { maxLength: 4 })),
});

interface GraphPlan {
  readonly inputs: readonly { dtype: Value['dtype']; shape: Value['shape'] }[];
  readonly constants: readonly Tensor[];
  readonly nodes: readonly {
    op: string;
    name: string;
    inputs: readonly number[];
    outputs: number;
    attributes: Record<string, Attribute>;
    type: { dtype: Value['dtype']; shape: Value['shape'] } | null;
  }[];
}

const planOf = (attribute: fc.Arbitrary<Attribute>): fc.Arbitrary<GraphPlan> =>
  fc.record({
    inputs: fc.array(valueType, { minLength: 1, maxLength: 3 }),
    constants: fc.array(anyTensor, { maxLength: 3 }),
    nodes: fc.array(
      fc.record({
        op: fc.constantFrom('Conv', 'Add', 'Sign', 'Split'),
        name: text,
        inputs: fc.array(fc.nat(), { maxLength: 3 }),
        outputs: fc.integer({ min: 1, max: 3 }),
        attributes: attributesOf(attribute),
        type: fc.option(valueType),
      }),
      { maxLength: 6 },
    ),
  });

function buildGraph(plan: GraphPlan, typed: boolean): Graph {
  const graph = new Graph('g');
  const values: (Value | null)[] = [null];
  const names = new Set<string>();
  for (const [i, type] of plan.inputs.entries()) {
    values.push(graph.addInput(`in${i}`, typed ? type : { dtype: null, shape: null }));
  }
  for (const [i, constant] of plan.constants.entries()) values.push(graph.addConstant(`c${i}`, constant));
  for (const [n, { op, name, inputs, outputs, attributes, type }] of plan.nodes.entries()) {
    const node = graph.addNode(
      op,
      inputs.map((i) => values[i % values.length] ?? null),
      {
        // Others than the first of a name are written under another.
        name: names.has(name) ? '' : name,
        attributes,
        outputs: Array.from({ length: outputs }, (_, i) => `n${n}_${i}`),
        domain: n % 2 ? 'bnn' : '',
      },
    );
    names.add(name);
    if (typed && type !== null) Object.assign(node.output, type);
    values.push(...node.outputs);
  }
  const last = values.at(-1);
  if (last != null) graph.addOutput(last);
  return graph;
}

const anyModel = fc
  .record({
    graph: planOf(plainAttribute),
    body: planOf(fc.oneof(plainAttribute, anyReference)),
    attributes: fc.uniqueArray(attributeName),
    metadata: fc.dictionary(text, text),
    doc: text,
    withFunction: fc.boolean(),
  })
  .map(({ graph, body, attributes, metadata, doc, withFunction }) => {
    const model = new Model(buildGraph(graph, true));
    model.opsets.set('bnn', 1);
    model.docString = doc;
    for (const [key, value] of Object.entries(metadata)) model.metadata.set(key, value);
    if (withFunction) {
      const f = buildGraph(body, false);
      f.name = 'F';
      model.functions.push({ domain: 'bnn', name: 'F', body: f, attributes, opsets: new Map([['', 17]]) });
    }
    return model;
  });

describe('decodeModel ∘ encodeModel', () => {
  test.each([
    ['convolution', convModel],
    ['functions', functionModel],
  ])('keeps the %s model', (_, build) => {
    expect(describeModel(decodeModel(encodeModel(build())))).toEqual(describeModel(build()));
  });

  test('keeps any model and gives the same bytes again', () => {
    fc.assert(
      fc.property(anyModel, (model) => {
        const bytes = encodeModel(model);
        const decoded = decodeModel(bytes);
        expect(describeModel(decoded)).toEqual(describeModel(model));
        expect(Buffer.compare(encodeModel(decoded), bytes)).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test('writes types inside functions from IR version 10 on', () => {
    const model = functionModel();
    const sign = model.functions[0]?.body.values.get('positive');
    if (sign !== undefined) sign.dtype = 'bool';
    const dtypeAfter = () => decodeModel(encodeModel(model)).functions[0]?.body.values.get('positive')?.dtype;
    expect(dtypeAfter()).toBe(null);
    model.irVersion = 10;
    expect(dtypeAfter()).toBe('bool');
  });

  test('leaves inner types out on request', () => {
    const model = decodeModel(encodeModel(convModel(), { valueTypes: false }));
    expect(model.graph.values.get('conv')?.dtype).toBe(null);
    expect(model.graph.values.get('y')?.dtype).toBe('float32');
  });

  test('raises the IR version where functions need it', () => {
    const model = functionModel();
    model.irVersion = 6;
    expect(decodeModel(encodeModel(model)).irVersion).toBe(8);
  });

  test('of nodes with one name, all but the first get another that no node has', () => {
    const model = new Model(new Graph('main'));
    const x = model.graph.addInput('x', { dtype: 'float32', shape: [1] });
    const names = ['a', '', 'a', 'a_1', 'a', '', 'a_1'];
    const y = names.reduce((value, name) => model.graph.addNode('Relu', [value], { name }).output, x);
    model.graph.addOutput(y);
    const written = Array.from(decodeModel(encodeModel(model)).graph.nodes(), ({ name }) => name);
    expect(written).toEqual(['a', '', 'a_2', 'a_1', 'a_3', '', 'a_1_1']);
  });

  test('names of 100,000 nodes with one name are made in no time', () => {
    const model = new Model(new Graph('main'));
    let x = model.graph.addInput('x', { dtype: 'float32', shape: [1] });
    for (let i = 0; i < 100_000; i++) x = model.graph.addNode('Relu', [x], { name: 'a', outputs: [`v${i}`] }).output;
    model.graph.addOutput(x);
    const begin = process.cpuUsage();
    encodeModel(model);
    expect(process.cpuUsage(begin).user).toBeLessThan(5e6);
  });

  test('returns bytes that share their memory with nothing', () => {
    const bytes = encodeModel(convModel());
    expect(bytes.byteLength).toBe(bytes.buffer.byteLength);
  });
});
