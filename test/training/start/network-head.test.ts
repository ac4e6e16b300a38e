import { describe, expect, it } from 'vitest';
import { float32, int64s } from '../../../src/core/tensors/tensor.ts';
import { int, ints } from '../../../src/graph/attribute.ts';
import { Graph, type Value } from '../../../src/graph/graph.ts';
import { Model } from '../../../src/graph/model.ts';
import { findParameters } from '../../../src/training/program/parameters.ts';
import { prepareModel } from '../../../src/training/start/initial-model.ts';

const PICTURES = { name: 'pictures', channels: 1, height: 6, width: 6, mean: [0.1], std: [0.3] };
const CHOICES = { normalize: 'dataset', newClassifier: false, seed: 1 } as const;

interface Tools {
  readonly graph: Graph;
  readonly op: (type: string, inputs: Value[], attributes?: object) => Value;
  readonly constant: (...shape: number[]) => Value;
  readonly list: (...values: number[]) => Value;
}
type End = (x: Value, tools: Tools) => Value;

/** Picture → Conv → GlobalAveragePool → Flatten → Gemm of `outputs` → `end`. */
function network(outputs: number, end: End, batch: 'N' | 1 = 'N'): Model {
  const graph = new Graph();
  let count = 0;
  const constant = (...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: size }, () => Math.sin(++count));
    return graph.addConstant(`c${count}`, float32(shape, data));
  };
  const op: Tools['op'] = (type, inputs, attributes = {}) => {
    const [domain, name] = type.startsWith('bnn.') ? ['bnn', type.slice(4)] : ['', type];
    return graph.addNode(name, inputs, { domain, attributes: { ...attributes } }).output;
  };
  const list: Tools['list'] = (...values) => graph.addConstant('list', int64s(values));
  const x = graph.addInput('x', { dtype: 'float32', shape: [batch, 1, 6, 6] });
  const h = op('Conv', [x, constant(3, 1, 3, 3)], { kernel_shape: ints([3, 3]) });
  const features = op('Flatten', [op('GlobalAveragePool', [h])]);
  const logits = op('Gemm', [features, constant(outputs, 3), constant(outputs)], { transB: int(1) });
  graph.addOutput(end(logits, { graph, op, constant, list }));
  const model = new Model(graph);
  model.opsets.set('bnn', 1);
  return model;
}

const prepare = (model: Model, classes: readonly string[], newClassifier = false) =>
  prepareModel(model, { ...PICTURES, classes }, { ...CHOICES, newClassifier }, 'file');
const opsOf = ({ graph }: Model): string[] => [...graph.nodes()].map(({ type }) => type);
const BODY = ['Conv', 'GlobalAveragePool', 'Flatten', 'Gemm'];

const ENDS: Readonly<
  Record<string, { readonly end: End; readonly left: readonly string[]; readonly shape: unknown[] }>
> = {
  'a plain number': { end: (x) => x, left: [], shape: ['N', 1] },
  Sigmoid: { end: (x, { op }) => op('Sigmoid', [x]), left: [], shape: ['N', 1] },
  HardSigmoid: { end: (x, { op }) => op('HardSigmoid', [x]), left: [], shape: ['N', 1] },
  Tanh: { end: (x, { op }) => op('Tanh', [x]), left: [], shape: ['N', 1] },
  'bnn.Sign': { end: (x, { op }) => op('bnn.Sign', [x]), left: [], shape: ['N', 1] },
  'Softmax, which makes 1 of everything': { end: (x, { op }) => op('Softmax', [x]), left: [], shape: ['N', 1] },
  'Sigmoid and Squeeze': {
    end: (x, { op, list }) => op('Squeeze', [op('Sigmoid', [x]), list(1)]),
    left: ['Squeeze'],
    shape: ['N'],
  },
  'Squeeze and Sigmoid': {
    end: (x, { op, list }) => op('Sigmoid', [op('Squeeze', [x, list(-1)])]),
    left: ['Squeeze'],
    shape: ['N'],
  },
  'Sigmoid and Reshape to one row': {
    end: (x, { op, list }) => op('Reshape', [op('Sigmoid', [x]), list(-1)]),
    left: ['Reshape'],
    shape: ['N'],
  },
};

describe('a network that ends in one number', () => {
  it.each(Object.entries(ENDS))('%s: trained on the number itself', (_, { end, left, shape }) => {
    const { model, notes } = prepare(network(1, end), ['no', 'yes']);
    expect(opsOf(model)).toEqual([...BODY, ...left]);
    expect(model.graph.outputs[0]!.shape).toEqual(shape);
    expect(notes.join()).toContain('more than 0 for "yes", less for "no"');
    expect(notes.some((note) => note.includes('at the end is left out'))).toBe(end !== ENDS['a plain number']!.end);
  });

  it.each(Object.entries(ENDS))('%s: replaced whole', (_, { end }) => {
    for (const classes of [
      ['a', 'b'],
      ['a', 'b', 'c'],
    ]) {
      const { model, notes } = prepare(network(1, end), classes, true);
      expect(opsOf(model)).toEqual(BODY);
      expect(model.graph.outputs[0]!.shape).toEqual(['N', classes.length]);
      expect(notes.at(-1)).toContain('starts from random weights');
    }
  });

  it('a Squeeze without axes keeps the batch, also one that the file fixes at 1', () => {
    for (const batch of ['N', 1] as const) {
      const { model } = prepare(
        network(1, (x, { op }) => op('Squeeze', [op('Sigmoid', [x])]), batch),
        ['no', 'yes'],
      );
      expect(model.graph.outputs[0]!.shape).toEqual(['N']);
    }
  });

  it('says what it is where there are other classes', () => {
    const model = () => network(1, (x, { op }) => op('Sigmoid', [x]));
    const message = 'the network decides between two classes by one number, pictures has 3';
    expect(() => prepare(model(), ['a', 'b', 'c'])).toThrow(message);
  });
});

describe('a network that ends in several numbers', () => {
  it.each<[string, End, string[]]>([
    ['Softmax', (x, { op }) => op('Softmax', [x]), []],
    ['Softmax twice', (x, { op }) => op('Softmax', [op('Softmax', [x])]), []],
    ['LogSoftmax over axis 1', (x, { op }) => op('LogSoftmax', [x], { axis: int(1) }), []],
    [
      'Softmax of channels, then Flatten',
      (x, { op, list }) => op('Flatten', [op('Softmax', [op('Unsqueeze', [x, list(2, 3)])], { axis: int(1) })]),
      ['Unsqueeze', 'Flatten'],
    ],
    ['Softmax and Identity', (x, { op }) => op('Identity', [op('Softmax', [x])]), ['Identity']],
    ['Tanh, which the loss does not contain', (x, { op }) => op('Tanh', [x]), ['Tanh']],
    // Over the batch: no distribution of classes.
    ['Softmax over axis 0', (x, { op }) => op('Softmax', [x], { axis: int(0) }), ['Softmax']],
  ])('%s', (_, end, left) => {
    expect(opsOf(prepare(network(2, end), ['a', 'b']).model)).toEqual([...BODY, ...left]);
  });

  it('several sigmoids are several labels, which is an error that says so, or are replaced', () => {
    const model = () => network(3, (x, { op }) => op('Sigmoid', [x]));
    expect(() => prepare(model(), ['a', 'b', 'c'])).toThrow(
      'the network ends in Sigmoid of 3 numbers, each a yes or no',
    );
    expect(opsOf(prepare(model(), ['a', 'b', 'c'], true).model)).toEqual(BODY);
  });

  it('integers are no logits', () => {
    const model = network(2, (x, { op }) => op('ArgMax', [x], { axis: int(1), keepdims: int(0) }));
    expect(() => prepare(model, ['a', 'b'])).toThrow('the output is int64 [N], expected [N, classes]');
  });
});

describe('a new classifier', () => {
  it('takes a normalization and a bias behind the layer with it', () => {
    const model = network(3, (x, { op, constant }) =>
      op('BatchNormalization', [op('Add', [x, constant(3)]), constant(3), constant(3), constant(3), constant(3)]),
    );
    const { graph } = prepare(model, ['a', 'b'], true).model;
    const norm = [...graph.nodes()].find((node) => node.is('BatchNormalization'))!;
    expect([1, 2, 3, 4].map((i) => [...(norm.input(i)!.constant!.data as Float32Array)])).toEqual([
      [1, 1],
      [0, 0],
      [0, 0],
      [1, 1],
    ]);
    expect(graph.outputs[0]!.shape).toEqual(['N', 2]);
  });

  it('may be binary', () => {
    const model = network(3, (x) => x);
    const gemm = [...model.graph.nodes()].at(-1)!;
    const signs = model.graph.addNode('Sign', [gemm.requiredInput(1)], { domain: 'bnn', before: gemm }).output;
    model.graph.setInput(gemm, 1, signs);
    const { graph } = prepare(model, ['a', 'b'], true).model;
    expect([...findParameters(graph).values()].find(({ role }) => role === 'binary-weight')?.shape).toEqual([2, 3]);
    expect(graph.outputs[0]!.shape).toEqual(['N', 2]);
  });
});
