import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { float32, int64s, scalar, type Tensor } from '../../src/core/tensor.ts';
import { createSte } from '../../src/estimators/ste.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import { Graph, type Value } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { Program } from '../../src/training/program.ts';

beforeAll(() => tf.setBackend('cpu'));

const identity = createSte(Infinity);
const SETTINGS = { weightEstimator: identity, activationEstimator: identity };

function random(seed: number, ...shape: number[]): Tensor<'float32'> {
  const rng = new Rng(seed);
  return float32(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
  );
}

type Build = (tools: {
  graph: Graph;
  x: Value;
  param: (name: string, ...shape: number[]) => Value;
  op: (type: string, inputs: (Value | null)[], attributes?: Attributes) => Value;
}) => Value;

/** Builds input [2, 3, 6, 6] → a float convolution (so that gradients must flow through what follows) → `build` → [2, 4]. */
function createModel(build: Build): Model {
  const graph = new Graph();
  let seed = 1;
  const x = graph.addInput('x', { dtype: 'float32', shape: ['N', 3, 6, 6] });
  const param = (name: string, ...shape: number[]) => graph.addConstant(name, random(seed++, ...shape));
  const op = (type: string, inputs: (Value | null)[], attributes: Attributes = {}) =>
    graph.addNode(type, inputs, { attributes }).output;
  const first = op('Conv', [x, param('first', 4, 3, 1, 1)], { kernel_shape: ints([1, 1]) });
  const features = build({ graph, x: first, param, op });
  const flat = op('Flatten', [features]);
  graph.addOutput(flat);
  return new Model(graph);
}

const WINDOW = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
const CASES: Record<string, Build> = {
  'Conv stride 1': ({ x, param, op }) => op('Conv', [x, param('w', 5, 4, 3, 3), param('b', 5)], WINDOW),
  'Conv stride 2': ({ x, param, op }) => op('Conv', [x, param('w', 5, 4, 3, 3)], { ...WINDOW, strides: ints([2, 2]) }),
  'Conv uneven padding': ({ x, param, op }) =>
    op('Conv', [x, param('w', 2, 4, 3, 2)], { kernel_shape: ints([3, 2]), pads: ints([2, 0, 1, 1]) }),
  'Conv SAME_UPPER': ({ x, param, op }) =>
    op('Conv', [x, param('w', 2, 4, 3, 3)], {
      strides: ints([2, 2]),
      auto_pad: { kind: 'string', value: 'SAME_UPPER' },
    }),
  'Mul by a scalar, Relu': ({ graph, x, param, op }) => {
    const w = param('w', 4, 4, 1, 1);
    const scale = op('ReduceMean', [op('Abs', [w])], { keepdims: int(0) });
    const y = op('Relu', [op('Mul', [op('Conv', [x, w], { kernel_shape: ints([1, 1]) }), scale])]);
    expect(graph.outputs).toEqual([]);
    return y;
  },
  'Mul → Relu → BatchNormalization': ({ graph, x, param, op }) => {
    const w = param('w', 4, 4, 1, 1);
    const scale = op('ReduceMean', [op('Abs', [w])], { keepdims: int(0) });
    const r = op('Relu', [op('Mul', [op('Conv', [x, w], { kernel_shape: ints([1, 1]) }), scale])]);
    const zeros = graph.addConstant('mean', float32([4], [0, 0, 0, 0]));
    const ones = graph.addConstant('var', float32([4], [1, 1, 1, 1]));
    return op('BatchNormalization', [r, param('gamma', 4), param('beta', 4), zeros, ones]);
  },
  'Add with a shortcut': ({ x, param, op }) => op('Add', [op('Conv', [x, param('w', 4, 4, 3, 3)], WINDOW), x]),
  'Mul of two branches': ({ x, param, op }) => op('Mul', [op('Conv', [x, param('w', 4, 4, 3, 3)], WINDOW), x]),
  'Add of a shift per channel': ({ x, param, op }) => op('Add', [x, param('shift', 4, 1, 1)]),
  'PRelu with a slope per channel': ({ x, param, op }) => op('PRelu', [x, param('slope', 4, 1, 1)]),
  MaxPool: ({ x, op }) => op('MaxPool', [x], { ...WINDOW, strides: ints([2, 2]) }),
  AveragePool: ({ x, op }) => op('AveragePool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  'AveragePool that subsamples': ({ x, op }) =>
    op('AveragePool', [x], { kernel_shape: ints([1, 1]), strides: ints([2, 2]) }),
  GlobalAveragePool: ({ x, op }) => op('GlobalAveragePool', [x]),
  'Pad of channels': ({ graph, x, op }) => {
    const pads = graph.addConstant('pads', int64s([0, 1, 0, 0, 0, 2, 0, 0]));
    return op('Pad', [x, pads, graph.addConstant('zero', scalar(0))]);
  },
  Gemm: ({ x, param, op }) => op('Gemm', [op('Flatten', [x]), param('w', 4, 144), param('b', 4)], { transB: int(1) }),
  MatMul: ({ x, param, op }) => op('MatMul', [op('Flatten', [x]), param('w', 144, 4)]),
};

describe.each([
  ['explicit padding', true],
  ['padding beforehand, for backends that know only VALID and SAME', false],
])('gradients with %s equal finite differences', (_, explicitPadding) => {
  it.each(Object.entries(CASES))('%s', async (__, build) => {
    const program = new Program(createModel(build), { explicitPadding });
    const x = tf.transpose(tf.tensor4d(random(99, 2, 3, 6, 6).data, [2, 3, 6, 6]), [0, 2, 3, 1]);
    // The loss Σ c·y has the random gradient c.
    let weights: Float32Array | null = null;
    const pass = () =>
      program.differentiate(x, SETTINGS, (y) => {
        weights ??= random(7, y.size).data;
        const data = y.dataSync() as Float32Array;
        const loss = data.reduce((sum, value, i) => sum + value * weights![i]!, 0);
        const dlogits = tf.tensor(weights, y.shape);
        return { loss, dlogits };
      });
    const { gradients } = pass();
    const rng = new Rng(5);
    for (const info of program.parameters.values()) {
      if (info.role === 'buffer') continue;
      const gradient = gradients.get(info.name)!.dataSync();
      const original = (await program.parameter(info.name).data()).slice() as Float32Array;
      for (let trial = 0; trial < 4; trial++) {
        const at = rng.below(original.length);
        const step = 1e-3;
        const lossAt = (delta: number) => {
          const moved = original.slice();
          moved[at]! += delta;
          program.setParameter(info.name, tf.tensor(moved, program.parameter(info.name).shape));
          return pass().loss;
        };
        const difference = (lossAt(step) - lossAt(-step)) / (2 * step);
        program.setParameter(info.name, tf.tensor(original.slice(), program.parameter(info.name).shape));
        expect(Math.abs(gradient[at]! - difference), `${info.name}[${at}]`).toBeLessThan(
          0.02 * Math.max(1, Math.abs(difference)),
        );
      }
    }
  });
});

it('names what cannot be trained', () => {
  const build = (b: Build) => () => new Program(createModel(b), { explicitPadding: true });
  expect(build(({ x, op }) => op('Softmax', [x]))).toThrow('training does not know the operator Softmax');
  expect(build(({ x, param, op }) => op('Conv', [x, param('w', 4, 2, 3, 3)], { group: int(2) }))).toThrow('group = 2');
});
