/** Small networks, each around one operator, with an input of [2, 3, 6, 6]. */

import { Rng } from '../../../src/core/numbers/rng.ts';
import { float32, int64s, scalar, type Tensor } from '../../../src/core/tensors/tensor.ts';
import { createSte } from '../../../src/estimators/ste.ts';
import { type Attributes, float, int, ints, string } from '../../../src/graph/attribute.ts';
import { Graph, type Value } from '../../../src/graph/graph.ts';
import { Model } from '../../../src/graph/model.ts';
import { normals } from '../../models/network.ts';

const identity = createSte(Infinity);
export const SETTINGS = { weightEstimator: identity, activationEstimator: identity };
export const INPUT_SHAPE = [2, 3, 6, 6] as const;

export function random(seed: number, ...shape: number[]): Tensor<'float32'> {
  return normals(new Rng(seed), shape);
}

export interface Tools {
  readonly graph: Graph;
  readonly x: Value;
  readonly param: (name: string, ...shape: number[]) => Value;
  readonly ints: (...values: number[]) => Value;
  readonly number: (value: number) => Value;
  readonly op: (type: string, inputs: (Value | null)[], attributes?: Attributes) => Value;
}
export type Build = (tools: Tools) => Value;

/** Builds input [N, 3, 6, 6] → a float convolution (so that gradients must flow through what follows) → `build` → [N, …]. */
export function createModel(build: Build): Model {
  const graph = new Graph();
  let seed = 1;
  const x = graph.addInput('x', { dtype: 'float32', shape: ['N', ...INPUT_SHAPE.slice(1)] });
  const op: Tools['op'] = (type, inputs, attributes = {}) => graph.addNode(type, inputs, { attributes }).output;
  const param: Tools['param'] = (name, ...shape) => graph.addConstant(name, random(seed++, ...shape));
  const first = op('Conv', [x, param('first', 4, 3, 1, 1)], { kernel_shape: ints([1, 1]) });
  const features = build({
    graph,
    x: first,
    param,
    op,
    ints: (...values) => graph.addConstant('list', int64s(values)),
    number: (value) => graph.addConstant('number', scalar(value)),
  });
  const flat = op('Flatten', [features]);
  flat.dtype = 'float32';
  graph.addOutput(flat);
  return new Model(graph);
}

const WINDOW = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
const scaleOf = ({ op }: Tools, w: Value) => op('ReduceMean', [op('Abs', [w])], { keepdims: int(0) });
const pointwise =
  (type: string, attributes: Attributes = {}): Build =>
  ({ x, op }) =>
    op(type, [x], attributes);
/** Positive numbers of about 0.1 to 5. */
const positive = ({ x, op, number }: Tools) => op('Add', [op('Abs', [x]), number(0.1)]);
const rows = ({ x, op, ints }: Tools, ...shape: number[]) => op('Reshape', [x, ints(...shape)]);

export const CASES: Record<string, Build> = {
  'Conv stride 1': ({ x, param, op }) => op('Conv', [x, param('w', 5, 4, 3, 3), param('b', 5)], WINDOW),
  'Conv stride 2': ({ x, param, op }) => op('Conv', [x, param('w', 5, 4, 3, 3)], { ...WINDOW, strides: ints([2, 2]) }),
  'Conv uneven padding': ({ x, param, op }) =>
    op('Conv', [x, param('w', 2, 4, 3, 2)], { kernel_shape: ints([3, 2]), pads: ints([2, 0, 1, 1]) }),
  'Conv SAME_UPPER': ({ x, param, op }) =>
    op('Conv', [x, param('w', 2, 4, 3, 3)], { strides: ints([2, 2]), auto_pad: string('SAME_UPPER') }),
  'Mul by a scalar, Relu': (tools) => {
    const { x, param, op } = tools;
    const w = param('w', 4, 4, 1, 1);
    return op('Relu', [op('Mul', [op('Conv', [x, w], { kernel_shape: ints([1, 1]) }), scaleOf(tools, w)])]);
  },
  'Mul → Relu → BatchNormalization': (tools) => {
    const { graph, x, param, op } = tools;
    const w = param('w', 4, 4, 1, 1);
    const r = op('Relu', [op('Mul', [op('Conv', [x, w], { kernel_shape: ints([1, 1]) }), scaleOf(tools, w)])]);
    const zeros = graph.addConstant('mean', float32([4], [0, 0, 0, 0]));
    const ones = graph.addConstant('var', float32([4], [1, 1, 1, 1]));
    return op('BatchNormalization', [r, param('gamma', 4), param('beta', 4), zeros, ones]);
  },
  'a factor per filter, computed from the weights': ({ x, param, op, ints: list }) => {
    const w = param('w', 4, 4, 1, 1);
    const scale = op('ReduceMean', [op('Abs', [w])], { axes: ints([1, 2, 3]), keepdims: int(0) });
    const y = op('Conv', [x, w], { kernel_shape: ints([1, 1]) });
    return op('Mul', [y, op('Reshape', [scale, list(1, 4, 1, 1)])]);
  },
  'Add with a shortcut': ({ x, param, op }) => op('Add', [op('Conv', [x, param('w', 4, 4, 3, 3)], WINDOW), x]),
  'Mul of two branches': ({ x, param, op }) => op('Mul', [op('Conv', [x, param('w', 4, 4, 3, 3)], WINDOW), x]),
  'Sub, Div of two branches': (tools) => {
    const y = tools.op('Conv', [tools.x, tools.param('w', 4, 4, 3, 3)], WINDOW);
    return tools.op('Div', [tools.op('Sub', [tools.x, y]), positive(tools)]);
  },
  'Div of a number': (tools) => tools.op('Div', [tools.number(2), positive(tools)]),
  'broadcasting along rows, columns and pictures': ({ x, param, op }) => {
    const row = op('Mul', [x, param('row', 6)]);
    const column = op('Sub', [row, param('column', 6, 1)]);
    return op('Add', [param('picture', 1, 1, 6, 6), column]);
  },
  'broadcasting a branch: squeeze and excite': ({ x, param, op }) => {
    const gate = op('Conv', [op('GlobalAveragePool', [x]), param('w', 4, 4, 1, 1)], { kernel_shape: ints([1, 1]) });
    return op('Mul', [op('HardSigmoid', [gate], { alpha: float(1 / 6) }), x]);
  },
  'broadcasting to five dimensions': (tools) => {
    const { x, op } = tools;
    return op('Mul', [x, op('Unsqueeze', [x, tools.ints(0)])]);
  },
  'Add of a shift per channel': ({ x, param, op }) => op('Add', [x, param('shift', 4, 1, 1)]),
  'Add of a shift [1, C, 1, 1]': ({ x, param, op }) => op('Add', [x, param('shift', 1, 4, 1, 1)]),
  'PRelu with a slope per channel': ({ x, param, op }) => op('PRelu', [x, param('slope', 4, 1, 1)]),
  'PRelu with one slope': ({ x, param, op }) => op('PRelu', [x, param('slope', 1)]),
  'PRelu of rows': (tools) => tools.op('PRelu', [rows(tools, 0, 144), tools.param('slope', 144)]),
  MaxPool: ({ x, op }) => op('MaxPool', [x], { ...WINDOW, strides: ints([2, 2]) }),
  'MaxPool with ceil_mode': ({ x, op }) =>
    op('MaxPool', [x], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), ceil_mode: int(1) }),
  AveragePool: ({ x, op }) => op('AveragePool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  'AveragePool that subsamples': ({ x, op }) =>
    op('AveragePool', [x], { kernel_shape: ints([1, 1]), strides: ints([2, 2]) }),
  'AveragePool with padding': ({ x, op }) => op('AveragePool', [x], { ...WINDOW, strides: ints([2, 2]) }),
  'AveragePool with count_include_pad': ({ x, op }) =>
    op('AveragePool', [x], { kernel_shape: ints([3, 2]), pads: ints([1, 0, 2, 1]), count_include_pad: int(1) }),
  'AveragePool with ceil_mode': ({ x, op }) =>
    op('AveragePool', [x], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), ceil_mode: int(1) }),
  GlobalAveragePool: ({ x, op }) => op('GlobalAveragePool', [x]),
  GlobalMaxPool: ({ x, op }) => op('GlobalMaxPool', [x]),
  'Slice of rows and columns': ({ x, op, ints: list }) => op('Slice', [x, list(1, -4), list(2 ** 31, -1), list(2, 3)]),
  'Slice of every second channel, backwards': ({ x, op, ints: list }) =>
    op('Slice', [x, list(-1), list(-100), list(1), list(-2)]),
  'Slice of rows of a matrix, in steps': ({ x, op, ints: list }) =>
    op('Slice', [op('Flatten', [x]), list(0, 3), list(2 ** 40, 140), list(0, 1), list(1, 5)]),
  'a Conv used twice': ({ x, op, param }) => {
    const [w, b] = [param('w', 4, 4, 3, 3), param('b', 4)];
    return op('Conv', [op('Tanh', [op('Conv', [x, w, b], WINDOW)]), w, b], WINDOW);
  },
  'a matrix used by MatMul and, transposed, by Gemm': ({ x, op, param }) => {
    const w = param('w', 144, 5);
    const hidden = op('Tanh', [op('MatMul', [op('Mul', [op('Flatten', [x]), param('small', 144)]), w])]);
    return op('Gemm', [hidden, w], { transB: int(1) });
  },
  'a normalization of a normalization': ({ x, op, param, graph }) => {
    const filled = (name: string, value: number) =>
      graph.addConstant(name, float32([4], new Float32Array(4).fill(value)));
    const norm = (input: Value, i: number) =>
      op('BatchNormalization', [input, param(`g${i}`, 4), param(`b${i}`, 4), filled(`m${i}`, 0), filled(`v${i}`, 1)]);
    return op('Tanh', [op('Conv', [norm(norm(norm(x, 0), 1), 2), param('w', 4, 4, 3, 3)], WINDOW)]);
  },
  'a normalization used twice': ({ x, op, param, graph }) => {
    const filled = (name: string, value: number) =>
      graph.addConstant(name, float32([4], new Float32Array(4).fill(value)));
    const norm = [param('gamma', 4), param('beta', 4), filled('mean', 0), filled('var', 1)];
    const first = op('BatchNormalization', [x, ...norm]);
    return op('BatchNormalization', [op('Tanh', [first]), ...norm]);
  },
  'Pad of channels': ({ x, op, ints: list, number }) => op('Pad', [x, list(0, 1, 0, 0, 0, 2, 0, 0), number(0)]),
  Gemm: ({ x, param, op }) => op('Gemm', [op('Flatten', [x]), param('w', 4, 144), param('b', 4)], { transB: int(1) }),
  'Gemm with factors': ({ x, param, op }) =>
    op('Gemm', [op('Flatten', [x]), param('w', 144, 4), param('b', 1, 4)], { alpha: float(0.5), beta: float(2) }),
  'Gemm of transposed rows': ({ x, param, op, ints: list }) =>
    op('Gemm', [op('Reshape', [x, list(24, -1)]), param('w', 24, 5)], { transA: int(1) }),
  MatMul: ({ x, param, op }) => op('MatMul', [op('Flatten', [x]), param('w', 144, 4)]),
  'MatMul of many rows, and a bias': (tools) =>
    tools.op('Add', [tools.op('MatMul', [rows(tools, 0, 4, 36), tools.param('w', 36, 5)]), tools.param('b', 5)]),
  'MatMul of two branches': (tools) => {
    const [a, b] = [rows(tools, 0, 4, 36), tools.op('Transpose', [rows(tools, 0, 4, 36)], { perm: ints([0, 2, 1]) })];
    return tools.op('MatMul', [a, b]);
  },
  'MatMul that broadcasts both ways': (tools) => {
    const { x, op } = tools;
    const [a, b] = [op('Unsqueeze', [x, tools.ints(2)]), op('Unsqueeze', [op('Relu', [x]), tools.ints(1)])];
    return op('MatMul', [a, b]);
  },
  'MatMul of pictures': ({ x, param, op }) => op('MatMul', [x, param('w', 6, 3)]),
  'MatMul with the weights in front': ({ x, param, op }) => op('MatMul', [param('w', 5, 6), x]),
  'MatMul with a vector': ({ x, param, op }) => op('MatMul', [x, param('w', 6)]),
  'Concat of channels': ({ x, param, op }) =>
    op('Concat', [op('Conv', [x, param('w', 3, 4, 3, 3)], WINDOW), x, x], { axis: int(1) }),
  'Concat of columns': ({ x, op }) => op('Concat', [x, op('Relu', [x])], { axis: int(-1) }),
  'Concat of rows': (tools) =>
    tools.op('Concat', [rows(tools, 0, 144), tools.op('Flatten', [tools.op('MaxPool', [tools.x], WINDOW)])], {
      axis: int(1),
    }),
  'Transpose, Reshape: shuffled channels': (tools) => {
    const { op } = tools;
    const groups = op('Transpose', [rows(tools, 0, 2, 2, 6, 6)], { perm: ints([0, 2, 1, 3, 4]) });
    return op('Reshape', [groups, tools.ints(0, 4, 6, 6)]);
  },
  'Transpose of pictures': ({ x, op }) => op('Transpose', [x], { perm: ints([0, 2, 3, 1]) }),
  'Transpose without perm': ({ x, op }) => op('Transpose', [op('Transpose', [x], { perm: ints([3, 2, 1, 0]) })]),
  'Squeeze, Unsqueeze': (tools) => {
    const squeezed = tools.op('Squeeze', [tools.op('GlobalAveragePool', [tools.x]), tools.ints(2, 3)]);
    return tools.op('Mul', [tools.op('Unsqueeze', [squeezed, tools.ints(-1, -2)]), tools.x]);
  },
  'ReduceMean over space': ({ x, op }) => op('ReduceMean', [x], { axes: ints([2, 3]), keepdims: int(0) }),
  'ReduceMean over channels': ({ x, op }) => op('ReduceMean', [x], { axes: ints([1]) }),
  'ReduceMean of Abs over channels': (tools) =>
    tools.op('Mul', [tools.op('ReduceMean', [tools.op('Abs', [tools.x])], { axes: ints([1]) }), tools.x]),
  'ReduceMean over columns': ({ x, op }) => op('ReduceMean', [x], { axes: ints([-1]), keepdims: int(0) }),
  Softmax: ({ x, op }) => op('Softmax', [x], { axis: int(1) }),
  'Softmax of rows': (tools) => tools.op('Softmax', [rows(tools, 0, 144)]),
  Abs: pointwise('Abs'),
  Clip: ({ x, op, number }) => op('Clip', [x, number(-0.5), number(1)]),
  ReLU6: ({ x, op, number }) => op('Clip', [op('Mul', [x, number(4)]), number(0), number(6)]),
  'Clip with crossed limits': ({ x, op, number }) => op('Add', [x, op('Clip', [x, number(2), number(1)])]),
  'Clip from below': ({ x, op, number }) => op('Clip', [x, number(-0.5)]),
  Elu: pointwise('Elu', { alpha: float(0.7) }),
  Erf: pointwise('Erf'),
  Exp: pointwise('Exp'),
  HardSigmoid: pointwise('HardSigmoid', { alpha: float(0.3), beta: float(0.4) }),
  HardSwish: ({ x, op, number }) => op('HardSwish', [op('Mul', [x, number(2)])]),
  LeakyRelu: pointwise('LeakyRelu', { alpha: float(0.2) }),
  Neg: pointwise('Neg'),
  Reciprocal: (tools) => tools.op('Reciprocal', [tools.op('Add', [positive(tools), tools.number(0.4)])]),
  Sigmoid: pointwise('Sigmoid'),
  Softplus: pointwise('Softplus'),
  Sqrt: (tools) => tools.op('Sqrt', [tools.op('Add', [positive(tools), tools.number(0.4)])]),
  Tanh: pointwise('Tanh'),
  Identity: pointwise('Identity'),
};

/** A convolution as the grid of shapes draws it. */
export interface ConvCase {
  readonly group: number;
  readonly perGroup: number;
  readonly outputs: number;
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

/** A 1×1 convolution to the channels that the case needs, and the convolution with a bias. */
export function convNetwork(c: ConvCase): Build {
  return ({ x, param, op }) => {
    const channels = c.group * c.perGroup;
    const y = op('Conv', [x, param('widen', channels, 4, 1, 1)], { kernel_shape: ints([1, 1]) });
    const outputs = c.group * c.outputs;
    return op('Conv', [y, param('w', outputs, c.perGroup, ...c.kernel), param('b', outputs)], {
      kernel_shape: ints(c.kernel),
      strides: ints(c.strides),
      dilations: ints(c.dilations),
      pads: ints(c.pads),
      group: int(c.group),
    });
  };
}
