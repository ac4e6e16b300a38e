import { describe, expect, it } from 'vitest';
import { CompileContext } from '../../src/compiler/context.ts';
import { EVALUATORS } from '../../src/compiler/evaluate.ts';
import { roundExact } from '../../src/compiler/exact.ts';
import { Rng } from '../../src/core/rng.ts';
import { float32, int64s, type Tensor, tensor } from '../../src/core/tensor.ts';
import { type Attributes, int, ints, tensorAttribute } from '../../src/graph/attribute.ts';
import { Graph, type Node } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer/infer-shapes.ts';
import { STANDARD_RULES } from '../../src/graph/infer/standard-rules.ts';
import { Model } from '../../src/graph/model.ts';
import { addBnnFunctions, BNN_RULES } from '../../src/operators/registry.ts';
import { runStock } from '../operators/run-stock.ts';

const rng = new Rng(11);
const normals = (...shape: number[]) =>
  float32(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
  );
const integers = (...values: number[]) => tensor('int32', [values.length], Int32Array.from(values));

/** Operator, inputs, attributes. */
type Row = readonly [string, readonly Tensor[], Attributes?];

const ROWS: readonly Row[] = [
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
];

/** A model of one node; its inputs are constants, or graph inputs. */
function oneNode([type, inputs, attributes = {}]: Row, constant: boolean): { model: Model; node: Node } {
  const graph = new Graph();
  const values = inputs.map((t, i) => (constant ? graph.addConstant(`i${i}`, t) : graph.addInput(`i${i}`, t)));
  const [op = '', domain = ''] = type.split('.').reverse();
  const node = graph.addNode(op, values, { domain, attributes });
  graph.addOutput(node.output);
  const model = new Model(graph);
  inferShapes(model, new Map([...STANDARD_RULES, ...BNN_RULES]));
  addBnnFunctions(model);
  return { model, node };
}

describe('constant evaluation agrees with stock onnxruntime', () => {
  it.each(ROWS.map((row, i): [string, Row] => [`${i} ${row[0]}`, row]))('row %s', async (_, row) => {
    const { model, node } = oneNode(row, true);
    const exact = new CompileContext(model).evaluate(node.output);
    const rounded = roundExact(exact!);
    const dynamic = oneNode(row, false).model;
    // A rank that depends on the data is known only with constant inputs.
    dynamic.graph.outputs[0]!.shape = node.output.shape;
    const feeds = Object.fromEntries(row[1].map((t, i) => [`i${i}`, t]));
    const expected: ArrayLike<number | bigint> = await runStock(dynamic, feeds);
    expect(rounded.dtype).toBe(node.output.dtype);
    expect(rounded.shape).toEqual(node.output.shape);
    expect(rounded.data).toHaveLength(expected.length);
    for (const [i, value] of Array.from(expected, Number).entries()) {
      expect(Number(rounded.data[i])).toBeCloseTo(value, 6);
    }
  });

  it('covers every evaluator', () => {
    expect(new Set(ROWS.map(([type]) => type))).toEqual(new Set(EVALUATORS.keys()));
  });

  it('leaves alone what it cannot round to, and what does not fit together', () => {
    const half = tensor('float16', [1], Uint16Array.of(0x3c00));
    const refused: readonly Row[] = [
      ['Abs', [half]],
      ['Cast', [normals(1)], { to: int(10) }],
      ['Cast', [tensor('int64', [1], BigInt64Array.of(2n ** 60n))], { to: int(1) }],
      ['Add', [normals(1), integers(1)]],
    ];
    for (const [type, inputs, attributes = {}] of refused) {
      const graph = new Graph();
      const values = inputs.map((t) => graph.addConstant('c', t));
      const node = graph.addNode(type, values, { attributes });
      expect(new CompileContext(new Model(graph)).evaluate(node.output)).toBeNull();
    }
  });
});
