import { describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { float32, int64s, type Tensor, tensor } from '../../../src/core/tensors/tensor.ts';
import { type Attributes, int, ints, string, tensorAttribute } from '../../../src/graph/attribute.ts';
import { Graph, type Node } from '../../../src/graph/graph.ts';
import { inferShapes } from '../../../src/graph/infer/infer-shapes.ts';
import { Model } from '../../../src/graph/model.ts';
import { OPERATOR_FACTS } from '../../../src/operators/operator-facts.ts';
import { addBnnFunctions, INFER_RULES } from '../../../src/operators/registry.ts';
import { RewriteContext } from '../../../src/rewriting/context.ts';
import { EVALUATORS } from '../../../src/rewriting/exact/evaluators.ts';
import { roundExact } from '../../../src/rewriting/exact/exact.ts';
import { normals as normalsOf } from '../../models/network.ts';
import { runStock } from '../../operators/run-stock.ts';

const rng = new Rng(11);
const normals = (...shape: number[]) => normalsOf(rng, shape);
const integers = (...values: number[]) => tensor('int32', [values.length], Int32Array.from(values));

const bools = (...values: number[]) => tensor('bool', [values.length], Uint8Array.from(values));
const bytes = (...values: number[]) => tensor('uint8', [values.length], Uint8Array.from(values));
const signedBytes = (...values: number[]) => tensor('int8', [values.length], Int8Array.from(values));
const signedBytes0 = (value: number) => tensor('int8', [], Int8Array.of(value));

/** Operator, inputs, attributes. */
type Row = readonly [string, readonly Tensor[], Attributes?];

const SOME: readonly Row[] = [
  ['Abs', [normals(2, 3)]],
  ['Neg', [normals(2, 3)]],
  ['Sqrt', [float32([3], [0, 2, 9])]],
  ['Identity', [normals(2)]],
  ['bnn.Sign', [float32([4], [0, -0, 1, -1])]],
  ['Add', [normals(2, 3), normals(3)]],
  ['Sub', [normals(2, 1, 3), normals(4, 1)]],
  ['Mul', [normals(), normals(2, 2)]],
  ['Div', [normals(2, 3), normals(2, 1)]],
  ['Div', [integers(7, -7, 6), integers(2, 2, -4)]],
  ['ReduceMean', [normals(3, 4, 2)]],
  ['ReduceMean', [normals(3, 4, 2)], { keepdims: int(0) }],
  ['ReduceMean', [normals(3, 4, 2)], { axes: ints([1, -1]) }],
  ['ReduceMean', [normals(3, 4, 2)], { axes: ints([0]), keepdims: int(0) }],
  ['Reshape', [normals(2, 6), int64s([0, -1, 3])]],
  ['Reshape', [normals(2, 6), int64s([12])]],
  ['Unsqueeze', [normals(2, 3), int64s([0, -1])]],
  ['Squeeze', [normals(1, 2, 1), int64s([-1])]],
  ['Squeeze', [normals(1, 2, 1)]],
  ['Transpose', [normals(2, 3, 4)]],
  ['Transpose', [normals(2, 3, 4, 2)], { perm: ints([2, 0, 3, 1]) }],
  ['Cast', [float32([4], [1.7, -1.7, 0, 300])], { to: int(6) }],
  ['Cast', [float32([3], [1.7, -0, 0.2])], { to: int(9) }],
  ['Cast', [tensor('float64', [2], Float64Array.of(0.1, 1 / 3))], { to: int(1) }],
  ['Cast', [int64s([5, -5])], { to: int(1) }],
  ['Gather', [normals(4, 3), int64s([3, -4, 1])]],
  ['Gather', [normals(2, 4, 3), tensor('int64', [2, 1], BigInt64Array.of(0n, 2n))], { axis: int(1) }],
  ['Gather', [int64s([7, 8, 9]), tensor('int64', [], BigInt64Array.of(-1n))]],
  ['Concat', [normals(2, 1, 2), normals(2, 3, 2)], { axis: int(1) }],
  ['Concat', [int64s([1]), int64s([2, 3])], { axis: int(-1) }],
  ['Constant', [], { value: tensorAttribute(float32([2], [1.5, -2])) }],
  ['Log', [float32([3], [0.5, 1, 9])]],
  ['Not', [bools(1, 0)]],
  ...['And', 'Or', 'Xor'].map((type): Row => [type, [bools(0, 0, 1, 1), bools(0, 1, 0, 1)]]),
  ['Pow', [float32([2, 2], [1, 2, 3, 4]), float32([2], [2, -1])]],
  ['Mod', [integers(7, -7, 7, -7), integers(3, 3, -3, -3)]],
  ['Mod', [float32([2], [5.5, -5.5]), float32([1], [2])], { fmod: int(1) }],
  ['Where', [bools(1, 0), normals(2, 1), normals(2)]],
  ['Clip', [normals(5), float32([], [-0.5]), float32([], [0.5])]],
  ['BitShift', [bytes(0b10110001, 3), bytes(2, 1)], { direction: string('RIGHT') }],
  ['BitShift', [bytes(0b10110001, 3), bytes(2, 1)], { direction: string('LEFT') }],
  ['DequantizeLinear', [signedBytes(-128, 0, 127, 5), float32([], [0.5]), signedBytes0(3)]],
  [
    'DequantizeLinear',
    [tensor('int8', [2, 3], Int8Array.of(1, 2, 3, 4, 5, 6)), float32([3], [1, 0.5, 2]), signedBytes(0, 1, -1)],
    { axis: int(1) },
  ],
  ['QuantizeLinear', [float32([6], [-1000, -0.75, 0.25, 0.75, 1.25, 1000]), float32([], [0.5]), signedBytes0(3)]],
  [
    'QuantizeLinear',
    [normals(2, 3), float32([2], [0.1, 0.03]), tensor('uint8', [2], Uint8Array.of(128, 7))],
    { axis: int(0) },
  ],
  ['Expand', [normals(2, 1), int64s([3, 1, 4])]],
  ['ConstantOfShape', [int64s([2, 3])], { value: tensorAttribute(tensor('int64', [1], BigInt64Array.of(7n))) }],
  ['ConstantOfShape', [int64s([2])]],
  ['Flatten', [normals(2, 3, 4)], { axis: int(2) }],
  ['Shape', [normals(2, 3, 4)], { start: int(1) }],
  ['Slice', [normals(5, 4), int64s([-1, 1]), int64s([-6, 3]), int64s([0, 1]), int64s([-2, 1])]],
  ['Slice', [normals(3, 5), int64s([1]), int64s([1000]), int64s([-1])]],
  ['Slice', [normals(3), int64s([1]), tensor('int64', [1], BigInt64Array.of(2n ** 63n - 1n))]],
  ['Slice', [normals(3), int64s([1]), tensor('int64', [1], BigInt64Array.of(-(2n ** 63n))), int64s([0]), int64s([-1])]],
  ...['ReduceL1', 'ReduceL2', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceSumSquare'].map(
    (type): Row => [type, [normals(3, 4, 2)], { axes: ints([0, -1]), keepdims: int(0) }],
  ),
  ['ReduceSum', [normals(3, 4, 2), int64s([1])]],
];

/** Integers beyond the ends of their type. */
const WRAPS: readonly Row[] = [
  ['Sub', [bytes(0, 5), bytes(1, 3)]],
  ['Add', [signedBytes(127, -128), signedBytes(1, -1)]],
  ['Mul', [bytes(200, 255), bytes(3, 255)]],
  ['Mul', [integers(2 ** 20, 2 ** 16), integers(2 ** 12, 2 ** 15)]],
  ['Neg', [signedBytes(-128, 5)]],
  ['Abs', [signedBytes(-128, -5)]],
  ['Cast', [integers(-1, 300, 256)], { to: int(2) }],
  ['Cast', [int64s([2 ** 31, -(2 ** 31) - 1])], { to: int(6) }],
];

/** Of the others that compute a function of numbers. */
const FUNCTIONS = Array.from(OPERATOR_FACTS)
  .filter(([type, { scalar }]) => scalar !== undefined && SOME.every(([other]) => other !== type))
  .map(([type, { elementwise }]): Row => {
    const one = [float32([6], [-2.5, -0.5, 0.5, 1.5, 2, -3.25])];
    return [type, elementwise === 'one' ? one : [float32([3, 1], [-1, 0, 1]), float32([2], [0, 1])]];
  });
const ROWS = [...SOME, ...WRAPS, ...FUNCTIONS];

/** Newer than the operator set of the model: by the definition of two's complement. */
const BITWISE: readonly (readonly [string, readonly Tensor[], readonly number[]])[] = [
  ['BitwiseAnd', [bytes(0b1100, 255), bytes(0b1010, 16)], [0b1000, 16]],
  ['BitwiseOr', [bytes(0b1100, 1), bytes(0b1010, 128)], [0b1110, 129]],
  ['BitwiseXor', [signedBytes(-1, 5), signedBytes(1, 5)], [-2, 0]],
  ['BitwiseNot', [signedBytes(0, -128)], [-1, 127]],
];

/** A model of one node; its inputs are constants, or graph inputs. */
function oneNode([type, inputs, attributes = {}]: Row, constant: boolean): { model: Model; node: Node } {
  const graph = new Graph();
  const values = inputs.map((t, i) => (constant ? graph.addConstant(`i${i}`, t) : graph.addInput(`i${i}`, t)));
  const [op = '', domain = ''] = type.split('.').reverse();
  const node = graph.addNode(op, values, { domain, attributes });
  graph.addOutput(node.output);
  const model = new Model(graph);
  inferShapes(model, INFER_RULES);
  addBnnFunctions(model);
  return { model, node };
}

describe('constant evaluation agrees with stock onnxruntime', () => {
  it.each(ROWS.map((row, i): [string, Row] => [`${i} ${row[0]}`, row]))('row %s', async (_, row) => {
    const { model, node } = oneNode(row, true);
    const exact = new RewriteContext(model).evaluate(node.output);
    const rounded = roundExact(exact!);
    const dynamic = oneNode(row, false).model;
    // A rank that depends on the data is known only with constant inputs.
    dynamic.graph.outputs[0]!.shape = node.output.shape;
    const feeds = Object.fromEntries(row[1].map((t, i) => [`i${i}`, t]));
    const expected: ArrayLike<number | bigint> = await runStock(dynamic, feeds);
    expect(rounded.dtype).toBe(node.output.dtype);
    expect(rounded.shape).toEqual(node.output.shape);
    expect(rounded.data).toHaveLength(expected.length);
    // What follows computes with the numbers themselves.
    if (WRAPS.includes(row)) expect([...exact!.data]).toEqual(Array.from(expected, Number));
    for (const [i, value] of Array.from(expected, Number).entries()) {
      const scale = Math.max(1, Math.abs(value));
      expect(Number(rounded.data[i]) / scale).toBeCloseTo(value / scale, 6);
    }
  });

  /** Products that float32 rounds to 7, 3, 0.5, 0 and −0. */
  const FACTORS = [float32([5], [10, 10, 10, 1e-30, -1e-30]), float32([5], [0.7, 0.3, 0.05, 1e-30, 1e-30])] as const;
  const GOAL = float32([5], [7, 3, 0.5, 0, 0]);
  const JUMPS: readonly Row[] = [
    ...['Floor', 'Ceil', 'Round', 'Sign', 'bnn.Sign'].map((type): Row => [type, []]),
    ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'].map((type): Row => [type, [GOAL]]),
    ['Mod', [float32([], [7])], { fmod: int(1) }],
    ['Cast', [], { to: int(6) }],
    ['Cast', [], { to: int(9) }],
  ];
  it.each(JUMPS.map((row, i): [string, Row] => [`${i} ${row[0]}`, row]))(
    'row %s of products to round',
    async (_, row) => {
      const [type, others, attributes = {}] = row;
      const build = (isConstant: boolean) => {
        const graph = new Graph();
        const values = FACTORS.map((t, i) => (isConstant ? graph.addConstant(`i${i}`, t) : graph.addInput(`i${i}`, t)));
        const product = graph.addNode('Mul', values).output;
        const [op = '', domain = ''] = type.split('.').reverse();
        const inputs = [product, ...others.map((t) => graph.addConstant('c', t))];
        const node = graph.addNode(op, inputs, { domain, attributes });
        graph.addOutput(node.output);
        const model = new Model(graph);
        inferShapes(model, INFER_RULES);
        addBnnFunctions(model);
        return model;
      };
      const model = build(true);
      const exact = new RewriteContext(model).evaluate(model.graph.outputs[0]!)!;
      const expected = await runStock(build(false), { i0: FACTORS[0], i1: FACTORS[1] });
      // Either zero.
      const numbers = (data: ArrayLike<number | bigint>) => Array.from(data, (x) => Number(x) + 0);
      expect(numbers(roundExact(exact).data)).toEqual(numbers(expected));
    },
  );

  it.each(BITWISE)('%s', (type, inputs, expected) => {
    const { model, node } = oneNode([type, inputs], true);
    expect([...new RewriteContext(model).evaluate(node.output)!.data]).toEqual(expected);
  });

  it.each([
    ['int8', 3],
    ['uint8', 2],
    ['int16', 5],
  ] as const)('QuantizeLinear to the type that it names without a zero point: %s', async (dtype, code) => {
    const row: Row = [
      'QuantizeLinear',
      [float32([3], [-1, 0.5, 200]), float32([], [0.5])],
      { output_dtype: int(code) },
    ];
    const { model, node } = oneNode(row, true);
    const exact = new RewriteContext(model).evaluate(node.output)!;
    const dynamic = oneNode(row, false).model;
    // The attribute is of operator set 21.
    dynamic.opsets.set('', 21);
    dynamic.irVersion = 10;
    const expected = await runStock(dynamic, { i0: row[1][0]!, i1: row[1][1]! });
    expect([exact.dtype, ...exact.data]).toEqual([dtype, ...expected]);
    expect(node.output.dtype).toBe(dtype);
  });

  it('covers every evaluator', () => {
    expect(new Set([...ROWS, ...BITWISE].map(([type]) => type))).toEqual(new Set(EVALUATORS.keys()));
  });

  it('leaves alone what it cannot round to, and what does not fit together', () => {
    const half = tensor('float16', [1], Uint16Array.of(0x3c00));
    const refused: readonly Row[] = [
      ['Abs', [half]],
      ['Cast', [normals(1)], { to: int(10) }],
      ['Cast', [tensor('int64', [1], BigInt64Array.of(2n ** 60n))], { to: int(1) }],
      ['Add', [normals(1), integers(1)]],
      ['Cast', [float32([1], [300])], { to: int(2) }],
      ['Sub', [tensor('uint64', [1], BigUint64Array.of(0n)), tensor('uint64', [1], BigUint64Array.of(1n))]],
      ['Mul', [integers(2 ** 31 - 1), integers(2 ** 31 - 1)]],
      ['Div', [integers(1), integers(0)]],
      // 17 is a float of 8 bits.
      ['QuantizeLinear', [float32([1], [1]), float32([], [1])], { output_dtype: int(17) }],
      // onnxruntime gives the largest integer here, others wrap.
      ['ReduceSum', [integers(2 ** 31 - 1, 1), int64s([0])]],
    ];
    for (const [type, inputs, attributes = {}] of refused) {
      const graph = new Graph();
      const values = inputs.map((t) => graph.addConstant('c', t));
      const node = graph.addNode(type, values, { attributes });
      expect(new RewriteContext(new Model(graph)).evaluate(node.output)).toBeNull();
    }
  });
});
