import { describe, expect, test } from 'vitest';
import { float32, int64s } from '../../../src/core/tensors/tensor.ts';
import { type Attributes, int, ints, string } from '../../../src/graph/attribute.ts';
import type { Shape } from '../../../src/graph/graph.ts';
import { inferShapes } from '../../../src/graph/infer/infer-shapes.ts';
import { STANDARD_RULES } from '../../../src/graph/infer/standard-rules.ts';
import { Model } from '../../../src/graph/model.ts';
import { caught } from '../caught.ts';

/** A list is the shape of a float32 graph input (null: unknown rank), `{ints}` a constant. */
type Operand = Shape | null | { readonly ints: readonly number[] } | { readonly dtype: 'int64'; readonly shape: Shape };

function modelOf(op: string, operands: readonly Operand[], attributes: Attributes = {}, outputs = 1): Model {
  const model = new Model();
  const values = operands.map((operand, i) => {
    if (operand === null || Array.isArray(operand)) {
      return model.graph.addInput(`x${i}`, { dtype: 'float32', shape: operand as Shape | null });
    }
    if ('ints' in operand) return model.graph.addConstant(`x${i}`, int64s(operand.ints));
    return model.graph.addInput(`x${i}`, operand as { dtype: 'int64'; shape: Shape });
  });
  const names = Array.from({ length: outputs }, (_, i) => `y${i}`);
  model.graph.addNode(op, values, { name: 'the node', attributes, outputs: names });
  return model;
}

function shapeOf(op: string, operands: readonly Operand[], attributes: Attributes = {}): Shape | null | undefined {
  const model = modelOf(op, operands, attributes);
  inferShapes(model, STANDARD_RULES);
  return model.graph.values.get('y0')?.shape;
}

const K3 = { kernel_shape: ints([3, 3]) };

describe('symbolic and unknown sizes', () => {
  const cases: readonly (readonly [string, readonly Operand[], Attributes, Shape | null])[] = [
    ['Relu', [['N', 3]], {}, ['N', 3]],
    ['Relu', [null], {}, null],
    [
      'Conv',
      [
        ['N', 3, 32, 32],
        [8, 3, 3, 3],
      ],
      { strides: ints([2, 2]) },
      ['N', 8, 15, 15],
    ],
    [
      'Conv',
      [
        ['N', 3, 'H', null],
        [8, 3, 3, 3],
      ],
      { pads: ints([1, 1, 1, 1]) },
      ['N', 8, 'H', null],
    ],
    [
      'Conv',
      [
        ['N', 3, 'H', 'W'],
        [8, 3, 3, 3],
      ],
      {},
      ['N', 8, null, null],
    ],
    [
      'Conv',
      [
        ['N', 3, 'H', 8],
        [8, 3, 3, 3],
      ],
      { auto_pad: string('SAME_UPPER') },
      ['N', 8, 'H', 8],
    ],
    ['Conv', [null, [8, 3, 3, 3]], {}, [null, 8, null, null]],
    ['MaxPool', [['N', 3, 'H', 9]], { ...K3, strides: ints([2, 2]) }, ['N', 3, null, 4]],
    ['GlobalAveragePool', [['N', 'C', 'H', 'W']], {}, ['N', 'C', 1, 1]],
    [
      'Add',
      [
        ['N', 3],
        ['N', 1],
      ],
      {},
      ['N', 3],
    ],
    [
      'Add',
      [
        ['N', 3],
        [1, 'C'],
      ],
      {},
      ['N', 3],
    ],
    ['Add', [['N'], ['M']], {}, [null]],
    ['Add', [['N'], [null]], {}, [null]],
    ['Add', [['N', null], [4]], {}, ['N', 4]],
    ['Add', [['N'], null], {}, null],
    ['Flatten', [['N', 8, 4, 4]], {}, ['N', 128]],
    ['Flatten', [['N', 'C', 4]], {}, ['N', null]],
    ['Flatten', [['N', 8, 4, 4]], { axis: int(2) }, [null, 16]],
    ['Reshape', [['N', 8, 2, 2], { ints: [0, -1] }], {}, ['N', 32]],
    ['Reshape', [['N', 8, 2, 2], { ints: [-1, 32] }], {}, ['N', 32]],
    ['Reshape', [['N', 8, 2, 2], { ints: [-1, 16] }], {}, [null, 16]],
    ['Reshape', [['N', null], { ints: [0, -1] }], {}, ['N', null]],
    ['Reshape', [null, { ints: [0, 5] }], {}, [null, 5]],
    ['Reshape', [['N', 8], { dtype: 'int64', shape: [3] }], {}, [null, null, null]],
    ['Transpose', [['N', 3, 4]], { perm: ints([0, 2, 1]) }, ['N', 4, 3]],
    ['Squeeze', [['N', 1], { ints: [1] }], {}, ['N']],
    ['Squeeze', [['N', 1]], {}, null],
    ['Unsqueeze', [['N'], { ints: [1] }], {}, ['N', 1]],
    [
      'Concat',
      [
        ['N', 3],
        [null, 4],
      ],
      { axis: int(1) },
      ['N', 7],
    ],
    [
      'Concat',
      [
        ['N', 3],
        [2, 'C'],
      ],
      { axis: int(1) },
      [2, null],
    ],
    ['Slice', [['N', 8], { ints: [0] }, { ints: [2 ** 60] }], {}, ['N', 8]],
    ['Slice', [['N', 8], { ints: [1] }, { ints: [4] }, { ints: [1] }], {}, ['N', 3]],
    ['Slice', [['N', 8], { ints: [1] }, { ints: [4] }], {}, [null, 8]],
    ['Slice', [['N', 8], { dtype: 'int64', shape: [1] }, { ints: [4] }, { ints: [1] }], {}, ['N', null]],
    ['Pad', [['N', 8], { ints: [0, 1, 0, 1] }], {}, ['N', 10]],
    ['Pad', [['N', 8], { ints: [1, 0, 0, 0] }], {}, [null, 8]],
    ['Gather', [[10, 'C'], { dtype: 'int64', shape: ['N'] }], {}, ['N', 'C']],
    ['Tile', [['N', 4], { ints: [1, 2] }], {}, ['N', 8]],
    ['Expand', [['N', 1], { ints: [1, 5] }], {}, ['N', 5]],
    [
      'Gemm',
      [
        ['N', 4],
        [3, 4],
      ],
      { transB: int(1) },
      ['N', 3],
    ],
    [
      'MatMul',
      [
        ['B', 'N', 4],
        [4, 3],
      ],
      {},
      ['B', 'N', 3],
    ],
    ['ReduceMean', [['N', 3, 4, 4]], { axes: ints([2, 3]), keepdims: int(0) }, ['N', 3]],
    ['ReduceSum', [['N', 3], { dtype: 'int64', shape: [1] }], {}, [null, null]],
    ['ReduceMean', [null], { keepdims: int(0) }, []],
    ['Shape', [['N', 3]], {}, [2]],
    ['BatchNormalization', [['N', 'C', 2], [3], [3], [3], [3]], {}, ['N', 'C', 2]],
  ];
  test.each(cases)('%s %o %o', (op, operands, attributes, expected) => {
    expect(shapeOf(op, operands, attributes)).toEqual(expected);
  });
});

describe('what cannot be is an error that names the node, what was found and what was expected', () => {
  const cases: readonly (readonly [string, readonly Operand[], Attributes, RegExp])[] = [
    [
      'Conv',
      [
        [1, 4, 8, 8],
        [8, 3, 3, 3],
      ],
      {},
      /4 channels, expected 3/,
    ],
    [
      'Conv',
      [
        [1, 6, 8, 8],
        [8, 3, 3, 3],
      ],
      { group: int(4) },
      /6 channels, expected 12/,
    ],
    [
      'Conv',
      [
        [1, 6, 8, 8],
        [9, 3, 3, 3],
      ],
      { group: int(2) },
      /9 output channels, expected a multiple of group 2/,
    ],
    ['Conv', [[1, 3, 8, 8], [8, 3, 3, 3], [7]], {}, /bias of shape \[7\], expected \[8\]/],
    [
      'Conv',
      [
        [1, 3, 8],
        [8, 3, 3, 3],
      ],
      {},
      /\[1, 3, 8\], expected 4 dimensions/,
    ],
    [
      'Conv',
      [
        [1, 3, 8, 8],
        [8, 3, 3, 3],
      ],
      { kernel_shape: ints([5, 5]) },
      /kernel_shape \[5, 5\], expected/,
    ],
    [
      'Conv',
      [
        [1, 3, 8, 8],
        [8, 3, 3, 3],
      ],
      { pads: ints([1, 1]) },
      /pads of 2 numbers, expected 4/,
    ],
    [
      'Conv',
      [
        [1, 3, 8, 8],
        [8, 3, 3, 3],
      ],
      { strides: ints([0, 1]) },
      /strides = \[0, 1\], expected positive/,
    ],
    [
      'Conv',
      [
        [1, 3, 2, 2],
        [8, 3, 3, 3],
      ],
      {},
      /\[2, 2\] with padding 0 \+ 0, expected at least the 3/,
    ],
    ['MaxPool', [[1, 3, 8]], K3, /\[1, 3, 8\], expected 4 dimensions/],
    ['Add', [[2, 3], [4]], {}, /\[2, 3\] and \[4\], expected shapes that broadcast/],
    [
      'PRelu',
      [
        [1, 3],
        [2, 3],
      ],
      {},
      /slope of shape \[2, 3\]/,
    ],
    ['BatchNormalization', [[1, 3, 4, 4], [3], [3], [4], [3]], {}, /mean of shape \[4\], expected .* 3 channels/],
    ['Reshape', [[2, 3], { ints: [4] }], {}, /\[2, 3\], expected as many elements as \[4\]/],
    ['Reshape', [[2, 3], { ints: [-1, 4] }], {}, /as many elements/],
    ['Reshape', [[2, 3], { ints: [-1, -1] }], {}, /at most one -1/],
    ['Reshape', [[2, 3], { ints: [2, 3, 0] }], {}, /a 0 at position 2/],
    ['Transpose', [[2, 3]], { perm: ints([0, 0]) }, /a permutation of 2 axes/],
    ['Squeeze', [[2, 3], { ints: [0] }], {}, /size 2 along axis 0, expected 1/],
    ['Unsqueeze', [[2], { ints: [0, 0] }], {}, /each axis once/],
    [
      'Concat',
      [
        [2, 3],
        [3, 3],
      ],
      { axis: int(1) },
      /\[2, 3\], \[3, 3\], expected equal sizes but along axis 1/,
    ],
    ['Flatten', [[2, 3]], { axis: int(3) }, /axis 3, expected an axis of 2 dimensions/],
    ['Pad', [[2, 3], { ints: [0, 1] }], {}, /2 pads, expected 4/],
    ['Pad', [[2, 3], { ints: [-3, 0, 0, 0] }], {}, /remove 3 of 2/],
    ['Tile', [[2, 3], { ints: [2] }], {}, /1 repeats, expected 2/],
    ['Split', [[6], { ints: [2, 5] }], {}, /\[2, 5\], expected 1 that add up to 6/],
    [
      'Gemm',
      [
        [2, 3],
        [4, 5],
      ],
      {},
      /3 elements times columns of 4/,
    ],
    ['Gemm', [[2, 3], [3, 5], [4]], {}, /broadcast/],
    [
      'Gemm',
      [
        [1, 3],
        [3, 5],
        [2, 5],
      ],
      {},
      /addend of shape \[2, 5\]/,
    ],
    [
      'MatMul',
      [
        [2, 3],
        [2, 3],
      ],
      {},
      /3 elements times columns of 2/,
    ],
    ['ReduceMean', [[2, 3]], { axes: ints([2]) }, /axis 2/],
    ['Slice', [[4], { ints: [0] }, { ints: [4] }, { ints: [0] }, { ints: [0] }], {}, /a step of 0/],
  ];
  test.each(cases)('%s %o %o', (op, operands, attributes, message) => {
    const error = caught(() => inferShapes(modelOf(op, operands, attributes), STANDARD_RULES));
    expect(error.code).toBe('E_SHAPE');
    expect(error.message).toMatch(message);
    expect(error.at).toContain(`"the node" (${op})`);
  });

  test('two element types', () => {
    const model = modelOf('Add', [[2], { ints: [1, 2] }]);
    expect(caught(() => inferShapes(model, STANDARD_RULES))).toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringContaining('float32 and of int64'),
    });
  });
});

describe('inferShapes', () => {
  test('goes through a graph and replaces stale types', () => {
    const model = modelOf('Conv', [
      ['N', 3, 8, 8],
      [4, 3, 3, 3],
    ]);
    const conv = model.graph.values.get('y0')!;
    conv.shape = ['N', 1, 1, 1];
    const flat = model.graph.addNode('Flatten', [conv]).output;
    inferShapes(model, STANDARD_RULES);
    expect([conv.shape, flat.shape, flat.dtype]).toEqual([['N', 4, 6, 6], ['N', 144], 'float32']);
  });

  test('keeps what was declared where it can tell nothing', () => {
    const model = modelOf('Reshape', [['N', 8], { dtype: 'int64', shape: [2] }]);
    const y = model.graph.values.get('y0')!;
    y.shape = ['N', 8];
    const other = model.graph.addNode('Wish', [y], { domain: 'unheard.of' }).output;
    other.shape = [7];
    inferShapes(model, STANDARD_RULES);
    expect([y.shape, other.shape, other.dtype]).toEqual([['N', 8], [7], null]);
  });

  test('strict refuses an operator without a rule', () => {
    const model = modelOf('Wish', [[1]]);
    inferShapes(model, STANDARD_RULES);
    expect(caught(() => inferShapes(model, STANDARD_RULES, { strict: true }))).toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('Wish'),
      at: expect.stringContaining('the node'),
    });
  });

  test('reads the data of Constant nodes', () => {
    const model = new Model();
    const x = model.graph.addInput('x', { dtype: 'float32', shape: ['N', 6] });
    const value = { kind: 'tensor', value: int64s([0, 2, 3]) } as const;
    const shape = model.graph.addNode('Constant', [], { attributes: { value } }).output;
    const y = model.graph.addNode('Reshape', [x, shape]).output;
    inferShapes(model, STANDARD_RULES);
    expect(y.shape).toEqual(['N', 2, 3]);
  });

  test('a missing required input is named', () => {
    const model = new Model();
    model.graph.addNode('Reshape', [model.graph.addConstant('x', float32([1], [1])), null], { name: 'r' });
    inferShapes(model, STANDARD_RULES);
    expect(model.graph.values.get('r')?.shape).toBeNull();
  });
});
