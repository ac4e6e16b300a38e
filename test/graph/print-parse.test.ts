import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementCount } from '../../src/core/tensors/shape.ts';
import {
  bytesOf,
  bytesPerElement,
  DTYPES,
  float32,
  fromBytes,
  int64s,
  type Tensor,
} from '../../src/core/tensors/tensor.ts';
import {
  type Attribute,
  type Attributes,
  float,
  floats,
  int,
  ints,
  reference,
  string,
  tensorAttribute,
} from '../../src/graph/attribute.ts';
import { type Dim, Graph, type Shape, type Value, type ValueType } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { parseModel } from '../../src/graph/parse.ts';
import { formatNode, printModel } from '../../src/graph/print.ts';
import { verify } from '../../src/graph/verify.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { caught } from './caught.ts';

const SAMPLE = `model ir 8, opset "" 17, opset "bnn" 1
producer "someone" "1.2"
doc "two\\nlines"
metadata "seed" "7"
graph "main" {
  input %input : float32[N, 3]
  input %scale : float32[1] = [0.5]
  const %w : float32[2, 3] = [1, -0, 0.1, inf, -inf, nan]
  const %half : float16[2] = [0x3c00, 0x0001]
  const %big : int64[2] = [9223372036854775807, -1]
  const %none : float32[0] = []
  %signs : float32[N, 3] = bnn::Sign(%input) "layer1.0.conv1"
  %y : ?[N, ?], %"odd name" = Gemm(%signs, %w, _) {transB = 1, alpha = 1f, beta = 0.1d}
  %/a/b::c:0 : float32[...] = "odd op"(%y) {s = "text", l = [1, 2], f = [1f, nan], e = ints[], t = uint8[2] [1, 255]}
  output %y
  output %/a/b::c:0
}
function bnn::Sign(%x) -> (%y) attributes [alpha, "odd one"] opset "" 17 {
  const %zero : float32[] = [0]
  %y = Elu(%x) {alpha = @alpha : float}
}
`;

describe('text', () => {
  test('reads and prints the same', () => {
    expect(printModel(parseModel(SAMPLE))).toBe(SAMPLE);
  });

  test('means what it says', () => {
    const model = parseModel(SAMPLE);
    verify(model);
    const { graph } = model;
    expect([model.irVersion, [...model.opsets], [...model.metadata], model.producerName, model.docString]).toEqual([
      8,
      [
        ['', 17],
        ['bnn', 1],
      ],
      [['seed', '7']],
      'someone',
      'two\nlines',
    ]);
    expect(graph.inputs.map(({ name, dtype, shape, constant }) => [name, dtype, shape, constant?.data[0]])).toEqual([
      ['input', 'float32', ['N', 3], undefined],
      ['scale', 'float32', [1], 0.5],
    ]);
    expect(Array.from(graph.values.get('w')!.constant!.data as Float32Array)).toEqual([
      1,
      -0,
      Math.fround(0.1),
      Infinity,
      -Infinity,
      Number.NaN,
    ]);
    const [sign, gemm, odd] = [...graph.nodes()];
    expect([sign?.domain, sign?.op, sign?.name]).toEqual(['bnn', 'Sign', 'layer1.0.conv1']);
    expect(gemm?.inputs.map((value) => value?.name ?? null)).toEqual(['signs', 'w', null]);
    expect(gemm?.attributes).toEqual({ transB: int(1), alpha: float(1), beta: { kind: 'float', value: 0.1 } });
    expect(gemm?.outputs.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ['y', null, ['N', null]],
      ['odd name', null, null],
    ]);
    expect(odd?.attributes).toMatchObject({
      s: string('text'),
      l: ints([1, 2]),
      f: floats([1, Number.NaN]),
      e: ints([]),
    });
    const [f] = model.functions;
    expect([f?.domain, f?.name, f?.attributes, [...(f?.opsets ?? [])]]).toEqual([
      'bnn',
      'Sign',
      ['alpha', 'odd one'],
      [['', 17]],
    ]);
    expect([...f!.body.nodes()][0]?.attributes).toEqual({ alpha: reference('alpha', 'float') });
  });

  test('comments, blank lines and other spacing do not matter', () => {
    const loose = SAMPLE.replaceAll(' = ', '=')
      .replaceAll(', ', ' ,\n # a comment, with } and "\n  ')
      .replaceAll(' : ', ':  ');
    expect(printModel(parseModel(loose))).toBe(SAMPLE);
  });

  test('a node may read what a later one produces; verify tells', () => {
    const text = 'model ir 8 producer "" "" graph "g" { input %x %a = Relu(%b) %b = Relu(%x) output %a }';
    const model = parseModel(text);
    expect([...model.graph.nodes()].map((node) => node.input(0)?.name)).toEqual(['b', 'x']);
    expect(caught(() => verify(model)).message).toContain('read before it is produced');
  });

  test('more than 32 elements are base64 of the little-endian bytes', () => {
    const model = new Model();
    const numbers = Float32Array.from({ length: 33 }, (_, i) => i / 7);
    model.graph.addConstant('w', float32([33], numbers));
    const text = printModel(model);
    expect(text).toContain(`const %w : float32[33] = base64"${Buffer.from(numbers.buffer).toString('base64')}"`);
    expect(printModel(parseModel(text))).toBe(text);
    const summary = printModel(model, { data: 'summary' });
    expect(summary).toContain('const %w : float32[33] = ...');
    expect(caught(() => parseModel(summary)).message).toContain('summary');
  });

  test('a NaN with a payload keeps it', () => {
    const bytes = Uint8Array.of(1, 0, 0xc0, 0xff, 0, 0, 0xc0, 0x7f);
    const model = new Model();
    model.graph.addConstant('w', fromBytes('float32', [2], bytes));
    const read = parseModel(printModel(model)).graph.values.get('w')?.constant;
    expect([...bytesOf(read!)]).toEqual([...bytes]);
  });

  test('resnet20 goes through text unchanged', () => {
    const model = buildModel('resnet20', { seed: 5 });
    const text = printModel(model);
    const read = parseModel(text);
    verify(read);
    expect(printModel(read)).toBe(text);
    expectSameGraph(read.graph, model.graph);
    expect(printModel(model, { data: 'summary' }).length).toBeLessThan(text.length / 10);
  });

  test('formatNode is one line', () => {
    const node = [...parseModel(SAMPLE).graph.nodes()][1]!;
    expect(formatNode(node)).toBe(
      '%y : ?[N, ?], %"odd name" = Gemm(%signs, %w, _) {transB = 1, alpha = 1f, beta = 0.1d}',
    );
  });
});

describe('errors give line and column, what was found and what was expected', () => {
  /** What is right, what stands there instead, where in that the error points, the message. */
  const cases: readonly (readonly [string, string, string, string])[] = [
    ['model ir 8', 'modle ir 8', 'modle', 'found modle, expected "model"'],
    ['opset "" 17', 'opset 17', '17', 'found 17, expected a domain in quotes'],
    ['%input : float32[N, 3]', '%input : float31[N, 3]', 'float31', 'found float31, expected a dtype or "?"'],
    ['float32[N, 3]\n', 'float32[N 3]\n', '3]', 'found 3, expected "," or "]"'],
    ['%signs, %w, _', '%signs, %v, _', '%v', 'found %v, expected a value of this graph'],
    ['%y : ?', '%signs : ?', 'signs', 'found %signs again, expected a new name'],
    ['const %half', 'const %w', '%w', 'found %w again, expected a new name'],
    ['[0x3c00, 0x0001]', '[0x3c00, 1]', '1]', 'found 1, expected a number of type float16'],
    ['[0.5]', '[0.5, 1]', '[0.5', 'found 2, expected 1 elements for shape [1]'],
    ['[1, 255]', '[1, 256]', '256', 'found 256, expected a number of type uint8'],
    ['transB = 1,', 'transB = 1.5,', '1.5', 'found 1.5, expected a value'],
    ['[1f, nan]', '[1f, 2]', '2]', 'found a value of kind int, expected another float'],
    ['@alpha : float', '@alpha : flaot', 'flaot', 'found flaot, expected a kind of attribute'],
    ['output %y', 'output y', 'y', 'found y, expected a value: %name'],
    ['}\nfunction', '\nfunction', 'function', 'found function, expected a node, an output or "}"'],
    ['"1.2"', '"1.2', '"1.2', 'found "1.2, expected the version of the producer in quotes'],
  ];
  test.each(cases)('%s -> %s', (good, bad, culprit, message) => {
    expect(SAMPLE).toContain(good);
    const text = SAMPLE.replace(good, bad);
    const error = caught(() => parseModel(text, 'net.ir'));
    expect(error.code).toBe('E_FORMAT');
    expect(error.message).toContain(message);
    const before = text.slice(0, text.lastIndexOf(culprit, SAMPLE.indexOf(good) + bad.length)).split('\n');
    expect(error.at).toBe(`net.ir:${before.length}:${before.at(-1)!.length + 1}`);
  });

  test.each(['9007199254740991', '4294967296, 2097152'])('a shape of %s elements and one number', (sizes) => {
    const error = caught(() => parseModel(SAMPLE.replace(/\[1\] = \[0\.5\]/, `[${sizes}] = [0.5]`), 'net.ir'));
    expect(error.code).toBe('E_FORMAT');
    expect(error.message).toMatch(/^found 1, expected \d+ elements/);
  });

  test('text that ends early, at any place, is a BnnError', () => {
    for (let length = 0; length < SAMPLE.length - 2; length++) {
      const cut = SAMPLE.slice(0, length);
      // A whole graph without its functions is a model.
      if (/\n}\s*$/.test(cut)) continue;
      expect(caught(() => parseModel(cut)).code).toBe('E_FORMAT');
    }
  });
});

// Names that try the quoting, all tensors by their bytes, so that every NaN and −0 occurs.
const name = fc.oneof(
  fc.stringMatching(/^[a-z/][a-z0-9._/]{0,6}$/),
  fc.string({ minLength: 1, maxLength: 6, unit: 'binary' }),
);
const dim: fc.Arbitrary<Dim> = fc.oneof(fc.nat(9), name, fc.constant(null));
const anyShape: fc.Arbitrary<Shape | null> = fc.option(fc.array(dim, { maxLength: 3 }));
const valueType: fc.Arbitrary<ValueType> = fc.record({ dtype: fc.option(fc.constantFrom(...DTYPES)), shape: anyShape });
const anyTensor: fc.Arbitrary<Tensor> = fc
  .record({ dtype: fc.constantFrom(...DTYPES), shape: fc.array(fc.nat(4), { maxLength: 3 }) })
  .chain(({ dtype, shape }) => {
    const size = elementCount(shape) * bytesPerElement(dtype);
    return fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => fromBytes(dtype, shape, bytes));
  });
const intValue = fc.oneof(fc.integer(), fc.constantFrom(2 ** 63, -(2 ** 63), 0));
const floatValue = fc.oneof(fc.double(), fc.float());
const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  intValue.map(int),
  floatValue.map(float),
  fc.string({ unit: 'binary', maxLength: 8 }).map(string),
  anyTensor.map(tensorAttribute),
  fc.array(intValue, { maxLength: 3 }).map(ints),
  fc.array(floatValue, { maxLength: 3 }).map(floats),
  fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 }).map((value): Attribute => ({ kind: 'strings', value })),
  fc.tuple(name, fc.constantFrom('int', 'tensor', 'strings')).map(([to, kind]) => reference(to, kind)),
);
const attributes: fc.Arbitrary<Attributes> = fc
  .array(fc.tuple(fc.oneof(name, fc.constant('__proto__')), attribute), { maxLength: 3 })
  .map((entries) => Object.fromEntries(entries));
const nodeRecipe = fc.record({
  op: name,
  domain: fc.oneof(fc.constantFrom('', 'bnn', 'ai.onnx.ml'), name),
  name: fc.oneof(fc.constant(''), name),
  attributes,
  inputs: fc.array(fc.option(fc.nat(50)), { maxLength: 3 }),
  outputs: fc.array(fc.tuple(name, valueType), { maxLength: 2 }),
});
const bodyRecipe = fc.record({
  name: fc.string({ maxLength: 5 }),
  inputs: fc.array(fc.tuple(name, valueType, fc.option(anyTensor)), { maxLength: 2 }),
  constants: fc.array(fc.tuple(name, anyTensor), { maxLength: 3 }),
  nodes: fc.array(nodeRecipe, { maxLength: 4 }),
  outputs: fc.array(fc.nat(50), { maxLength: 2 }),
});
const pairs = fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 5 }), fc.string({ maxLength: 5 })), {
  maxLength: 2,
});
const opsets = fc.array(fc.tuple(name, fc.nat(30)), { maxLength: 2 });

type BodyRecipe = typeof bodyRecipe extends fc.Arbitrary<infer T> ? T : never;

function fill(graph: Graph, recipe: BodyRecipe, isFunction: boolean): Graph {
  graph.name = recipe.name;
  for (const [key, type, initial] of recipe.inputs) {
    const value = graph.addInput(graph.freshName(key), type);
    if (initial !== null && !isFunction) graph.setConstant(value, initial);
  }
  for (const [key, data] of recipe.constants) graph.addConstant(key, data);
  const pick = (index: number | null): Value | null => {
    const values = [...graph.values.values()];
    return index === null ? null : (values[index % Math.max(values.length, 1)] ?? null);
  };
  for (const { op, inputs, outputs, ...options } of recipe.nodes) {
    const taken = new Set<string>();
    const fresh = outputs.filter(([key]) => !graph.values.has(key) && !taken.has(key) && taken.add(key));
    const node = graph.addNode(op, inputs.map(pick), { ...options, outputs: fresh.map(([key]) => key) });
    for (const [i, value] of node.outputs.entries()) Object.assign(value, fresh[i]?.[1]);
  }
  for (const index of recipe.outputs) {
    const value = pick(index);
    if (value !== null) graph.addOutput(value);
  }
  return graph;
}

function expectSameGraph(actual: Graph, expected: Graph): void {
  const facts = (graph: Graph): unknown => ({
    name: graph.name,
    inputs: graph.inputs.map(valueFacts),
    outputs: graph.outputs.map(valueFacts),
    constants: Array.from(graph.constants(), valueFacts),
    nodes: Array.from(graph.nodes(), (node) => ({
      op: node.op,
      domain: node.domain,
      name: node.name,
      inputs: node.inputs.map((value) => value?.name ?? null),
      outputs: node.outputs.map(valueFacts),
      attributes: Object.entries(node.attributes),
    })),
  });
  const valueFacts = ({ name: key, dtype, shape, constant }: Value): unknown => [
    key,
    dtype,
    shape,
    constant && Buffer.from(bytesOf(constant)).toString('hex'),
    constant?.shape,
  ];
  expect(facts(actual)).toEqual(facts(expected));
}

test('any model reads back as it was, bit for bit', () => {
  const recipe = fc.record({
    irVersion: fc.nat(20),
    opsets,
    metadata: pairs,
    texts: fc.tuple(fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })),
    main: bodyRecipe,
    functions: fc.array(
      fc.record({ domain: name, name, attributes: fc.array(name, { maxLength: 2 }), opsets, body: bodyRecipe }),
      {
        maxLength: 2,
      },
    ),
  });
  fc.assert(
    fc.property(recipe, ({ irVersion, opsets: versions, metadata, texts, main, functions }) => {
      const model = new Model(fill(new Graph(), main, false));
      model.irVersion = irVersion;
      model.opsets.clear();
      for (const [domain, version] of versions) model.opsets.set(domain, version);
      for (const [key, value] of metadata) model.metadata.set(key, value);
      [model.producerName, model.producerVersion, model.docString] = texts;
      for (const { body, ...f } of functions) {
        model.functions.push({ ...f, opsets: new Map(f.opsets), body: fill(new Graph(), body, true) });
      }
      const text = printModel(model);
      const read = parseModel(text);
      expect(printModel(read)).toBe(text);
      expectSameGraph(read.graph, model.graph);
      const header = ({ graph: _, functions: list, ...rest }: Model): unknown => [
        rest,
        list.map((f) => [f.domain, f.name, f.attributes, f.opsets]),
      ];
      expect(header(read)).toEqual(header(model));
      for (const [i, f] of read.functions.entries()) expectSameGraph(f.body, model.functions[i]!.body);
    }),
    { numRuns: 300 },
  );
});

test('numbers in lists read back exactly', () => {
  const data = int64s([2 ** 53, -(2 ** 60), 0]);
  const model = new Model();
  model.graph.addConstant('k', data);
  expect(parseModel(printModel(model)).graph.values.get('k')?.constant).toEqual(data);
});
