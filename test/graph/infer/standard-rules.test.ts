import { describe, expect, test } from 'vitest';
import { elementCount } from '../../../src/core/tensors/shape.ts';
import { createArray, type Dtype, int64s, type Tensor, tensor } from '../../../src/core/tensors/tensor.ts';
import { type Attributes, float, floats, int, ints, string, tensorAttribute } from '../../../src/graph/attribute.ts';
import { inferShapes } from '../../../src/graph/infer/infer-shapes.ts';
import { STANDARD_RULES } from '../../../src/graph/infer/standard-rules.ts';
import { Model } from '../../../src/graph/model.ts';
import { outputTypes } from './run-in-onnxruntime.ts';

const f = (...shape: number[]): Tensor => filled('float32', shape);
const b = (...shape: number[]): Tensor => filled('bool', shape);

function filled(dtype: Dtype, shape: readonly number[]): Tensor {
  const data = createArray(dtype, elementCount(shape));
  data.fill((dtype === 'int64' ? 1n : 1) as never);
  return tensor(dtype, shape, data);
}

interface Case {
  readonly inputs: readonly (Tensor | null)[];
  readonly attributes?: Attributes;
  readonly opset?: number;
  readonly outputs?: number;
}
const c = (inputs: Case['inputs'], attributes: Attributes = {}, opset = 17, outputs = 1): Case => ({
  inputs,
  attributes,
  opset,
  outputs,
});

const kernel = ints([3, 3]);
const END = 2 ** 40;

const CASES: Readonly<Record<string, readonly Case[]>> = {
  Conv: [
    c([f(2, 3, 8, 9), f(4, 3, 3, 3)]),
    c([f(2, 3, 8, 9), f(4, 3, 3, 2), f(4)], {
      strides: ints([2, 3]),
      pads: ints([1, 0, 2, 1]),
      dilations: ints([2, 1]),
    }),
    c([f(1, 4, 7, 7), f(6, 2, 3, 3)], { group: int(2), kernel_shape: kernel, pads: ints([1, 1, 1, 1]) }),
    c([f(1, 3, 7, 8), f(4, 3, 3, 3)], { auto_pad: string('SAME_UPPER'), strides: ints([2, 2]) }),
    c([f(1, 3, 7, 8), f(4, 3, 2, 2)], { auto_pad: string('SAME_LOWER') }),
    c([f(1, 3, 7, 8), f(4, 3, 3, 3)], { auto_pad: string('VALID'), strides: ints([2, 2]) }),
    c([f(1, 3, 10), f(4, 3, 3)], { strides: ints([2]) }),
    c([f(1, 2, 4, 5, 6), f(4, 2, 2, 2, 2)]),
  ],
  MaxPool: [
    c([f(1, 3, 8, 9)], { kernel_shape: kernel, strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    c([f(1, 3, 8, 9)], { kernel_shape: kernel, strides: ints([2, 2]), ceil_mode: int(1) }, 17, 2),
    c([f(1, 3, 8, 8)], { kernel_shape: ints([2, 2]), strides: ints([3, 3]), ceil_mode: int(1) }),
    c([f(1, 3, 9, 9)], { kernel_shape: kernel, dilations: ints([2, 2]) }),
    c([f(1, 3, 7, 8)], { kernel_shape: kernel, strides: ints([2, 2]), auto_pad: string('SAME_UPPER') }),
  ],
  AveragePool: [
    c([f(1, 3, 8, 9)], { kernel_shape: ints([1, 1]), strides: ints([2, 2]) }),
    c([f(1, 3, 8, 9)], { kernel_shape: kernel, pads: ints([1, 1, 1, 1]), count_include_pad: int(1) }),
    // The last window would start in the end padding.
    c([f(1, 3, 5, 5)], {
      kernel_shape: ints([2, 2]),
      strides: ints([3, 3]),
      pads: ints([0, 0, 1, 1]),
      ceil_mode: int(1),
    }),
  ],
  GlobalAveragePool: [c([f(2, 3, 4, 5)])],
  GlobalMaxPool: [c([f(2, 3, 4)])],
  BatchNormalization: [c([f(2, 3, 4, 5), f(3), f(3), f(3), f(3)]), c([f(2, 3), f(3), f(3), f(3), f(3)])],
  InstanceNormalization: [c([f(2, 3, 4, 5), f(3), f(3)])],
  LayerNormalization: [c([f(2, 3, 4), f(4)]), c([f(2, 3, 4), f(3, 4)], { axis: int(1) }, 17, 3)],
  Relu: [c([f(2, 3)])],
  LeakyRelu: [c([f(2, 3)], { alpha: float(0.1) })],
  PRelu: [c([f(2, 3, 4, 4), f(3, 1, 1)]), c([f(2, 3), f(1)])],
  Clip: [c([f(2, 3), filled('float32', []), filled('float32', [])]), c([f(2), null, filled('float32', [])])],
  Sigmoid: [c([f(2)])],
  Tanh: [c([f(2)])],
  HardSwish: [c([f(2, 2)])],
  HardSigmoid: [c([f(2, 2)])],
  Softmax: [c([f(2, 5)], { axis: int(-1) })],
  Sqrt: [c([f(3)])],
  Abs: [c([f(3)]), c([filled('int32', [2])])],
  Neg: [c([f(3)])],
  Exp: [c([f(3)])],
  Log: [c([f(3)])],
  Sign: [c([f(3)])],
  Identity: [c([b(2, 3)])],
  Not: [c([b(2, 3)])],
  Dropout: [c([f(2, 3)], {}, 17, 2)],
  Cast: [c([f(2, 3)], { to: int(7) }), c([b(2)], { to: int(1) }), c([f(2)], { to: int(2) })],
  Add: [
    c([f(2, 3), f(3)]),
    c([f(2, 1, 4), f(3, 1)]),
    c([f(), f(2, 2)]),
    c([filled('int64', [2]), filled('int64', [1])]),
  ],
  Sub: [c([f(1), f(2, 0)])],
  Mul: [c([f(2, 3, 4, 4), f(3, 1, 1)])],
  Div: [c([f(2), f()])],
  Pow: [c([f(2, 1), f(3)]), c([f(2), filled('int64', [])])],
  Mod: [c([filled('int32', [2, 1]), filled('int32', [3])])],
  BitShift: [c([filled('uint8', [4, 1]), filled('uint8', [8])], { direction: string('RIGHT') })],
  Min: [c([f(2, 1), f(3), f()])],
  Equal: [c([f(2, 1), f(3)])],
  Greater: [c([f(2, 1), f(3)])],
  GreaterOrEqual: [c([f(2, 1), f()])],
  Less: [c([f(3), f(3)])],
  LessOrEqual: [c([f(3), f(2, 3)])],
  And: [c([b(3), b(2, 3)])],
  Or: [c([b(3), b(1)])],
  Where: [c([b(2, 1), f(3), f()]), c([b(1), filled('int64', [2]), filled('int64', [])])],
  Flatten: [
    c([f(2, 3, 4)]),
    c([f(2, 3, 4)], { axis: int(0) }),
    c([f(2, 3, 4)], { axis: int(3) }),
    c([f(2, 3, 4)], { axis: int(-1) }),
  ],
  Reshape: [
    c([f(2, 3, 4), int64s([0, -1])]),
    c([f(2, 3, 4), int64s([4, 6])]),
    c([f(2, 3, 4), int64s([-1])]),
    c([f(1, 1), int64s([])]),
    c([f(0, 3), int64s([3, 0])], { allowzero: int(1) }),
  ],
  SpaceToDepth: [c([f(2, 3, 4, 6)], { blocksize: int(2) }), c([f(1, 1, 6, 3)], { blocksize: int(3) })],
  Transpose: [c([f(2, 3, 4)]), c([f(2, 3, 4)], { perm: ints([2, 0, 1]) })],
  Squeeze: [c([f(1, 3, 1, 4)]), c([f(1, 3, 1, 4), int64s([2])]), c([f(1, 3, 1, 4)], { axes: ints([0, -2]) }, 11)],
  Unsqueeze: [c([f(3, 4), int64s([0, -1])]), c([f(3, 4)], { axes: ints([1, 2]) }, 11)],
  Expand: [c([f(3, 1), int64s([2, 1, 4])]), c([f(2, 3, 4), int64s([3, 1])])],
  Concat: [c([f(2, 3), f(2, 5)], { axis: int(1) }), c([f(2, 3), f(1, 3), f(4, 3)], { axis: int(-2) })],
  Slice: [
    c([f(10, 8), int64s([1]), int64s([END])]),
    c([f(10, 8), int64s([0, 7]), int64s([-1, 1]), int64s([0, 1]), int64s([3, -2])]),
    c([f(10, 8), int64s([-3]), int64s([100]), int64s([-1])]),
    c([f(10, 8), int64s([9]), int64s([-END]), int64s([0]), int64s([-1])]),
    c([f(10, 8), int64s([5]), int64s([2])]),
    c([f(10, 8)], { starts: ints([2, 1]), ends: ints([5, 100]) }, 9),
    c([f(10, 8)], { starts: ints([-4]), ends: ints([-1]), axes: ints([1]) }, 9),
  ],
  Pad: [
    c([f(2, 3), int64s([0, 1, 2, 3])]),
    c([f(2, 3), int64s([0, 1, 0, -2]), filled('float32', [])]),
    c([f(2, 3, 4), int64s([1, 2]), null, int64s([-1])], {}, 18),
    c([f(2, 3)], { pads: ints([1, 1, 0, 0]) }, 10),
  ],
  Gather: [
    c([f(5, 6), filled('int64', [2, 3])]),
    c([f(5, 6), filled('int32', [])], { axis: int(1) }),
    c([filled('int8', [256, 8]), filled('int32', [2, 3, 3, 1])]),
  ],
  Tile: [c([f(2, 3), int64s([2, 4])])],
  Split: [
    c([f(2, 6)], { axis: int(1) }, 17, 3),
    c([f(2, 6), int64s([1, 5])], { axis: int(-1) }, 17, 2),
    c([f(6)], { split: ints([2, 4]) }, 11, 2),
    c([f(7)], { num_outputs: int(3) }, 18, 3),
  ],
  Shape: [c([f(2, 3, 4)]), c([f(2, 3, 4)], { start: int(1) }), c([f(2, 3, 4)], { start: int(-5), end: int(-1) })],
  Size: [c([f(2, 3)])],
  Constant: [
    c([], { value: tensorAttribute(f(2, 3)) }),
    c([], { value_float: float(1) }),
    c([], { value_ints: ints([1, 2]) }),
    c([], { value_int: int(3) }),
    c([], { value_floats: floats([1, 2, 3]) }),
  ],
  ConstantOfShape: [c([int64s([2, 3])]), c([int64s([])], { value: tensorAttribute(filled('int64', [1])) })],
  Einsum: [
    c([f(2, 3), f(3, 4)], { equation: string('ij, jk -> ki') }),
    c([f(5, 2, 3), f(4, 3)], { equation: string('bik,ok') }),
    c([f(1, 2, 3), f(5, 3, 4)], { equation: string('bij,bjk->bik') }),
    c([f(2, 3, 4)], { equation: string('abc->') }),
    c([f(3, 5, 5)], { equation: string('...ii->...i') }),
    c([f(2, 1, 7, 3), f(6, 7, 3)], { equation: string('b...k,...k->...b') }),
    c([f(4, 2, 3), f(3, 5)], { equation: string('...ij,jk') }),
  ],
  Gemm: [
    c([f(2, 3), f(3, 4)]),
    c([f(3, 2), f(4, 3), f(4)], { transA: int(1), transB: int(1) }),
    c([f(2, 3), f(3, 4), f(2, 1)]),
  ],
  MatMul: [
    c([f(2, 3), f(3, 4)]),
    c([f(5, 1, 2, 3), f(6, 3, 4)]),
    c([f(3), f(3, 4)]),
    c([f(5, 2, 3), f(3)]),
    c([f(3), f(3)]),
  ],
  ReduceMean: [
    c([f(2, 3, 4)], { keepdims: int(0) }),
    c([f(2, 3, 4)], { axes: ints([-1, 1]) }),
    c([f(2, 3, 4), int64s([0])], { keepdims: int(0) }, 18),
    c([f(2, 3, 4)], { noop_with_empty_axes: int(1) }, 18),
  ],
  ReduceSum: [
    c([f(2, 3, 4), int64s([1, 2])]),
    c([f(2, 3, 4), int64s([])], { keepdims: int(0) }),
    c([f(2, 3, 4)], { axes: ints([0]) }, 11),
  ],
  ReduceMax: [c([f(2, 3)], { axes: ints([1]) }), c([f(2, 3)])],
  ReduceMin: [c([f(2, 3)], { axes: ints([1]), keepdims: int(0) })],
  ArgMax: [c([f(2, 3)]), c([f(2, 3)], { axis: int(-1), keepdims: int(0) })],
  QuantizeLinear: [c([f(2, 3), filled('float32', []), filled('int8', [])]), c([f(2, 3), filled('float32', [])])],
  DequantizeLinear: [c([filled('uint8', [2, 3]), filled('float32', []), filled('uint8', [])])],
};

function modelOf(op: string, { inputs, attributes = {}, opset = 17, outputs = 1 }: Case): Model {
  const model = new Model();
  model.opsets.set('', opset);
  const values = inputs.map((input, i) => (input === null ? null : model.graph.addConstant(`in${i}`, input)));
  const names = Array.from({ length: outputs }, (_, i) => `out${i}`);
  const node = model.graph.addNode(op, values, { attributes, outputs: names });
  for (const output of node.outputs) model.graph.addOutput(output);
  return model;
}

describe('types are those that onnxruntime computes', () => {
  for (const [op, cases] of Object.entries(CASES)) {
    test.each(cases.map((one, i) => [`${op} ${i}`, one] as const))('%s', async (_, one) => {
      const model = modelOf(op, one);
      inferShapes(model, STANDARD_RULES, { strict: true });
      const inferred = model.graph.outputs.map(({ dtype, shape }) => ({ dtype, shape }));
      expect(inferred).toEqual(await outputTypes(model));
    });
  }
});
