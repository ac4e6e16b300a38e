/** Operators that came after set 17: computed where constant, written in set 17 where not, or refused with what to do. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { type Tensor, tensor } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { type Attributes, float, int, ints, string } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { Source, withZeros } from './build.ts';
import { createRun } from './run-model.ts';

interface Case {
  readonly opset: number;
  readonly shape: readonly number[];
  readonly build: (s: Source) => Value;
}

const HEADS = [2, 3, 5, 4];
const attention =
  (attributes: Attributes = {}, mask?: (s: Source) => Value) =>
  (s: Source): Value => {
    const [k, v] = [s.op('Mul', [s.x, s.c(0.5)]), s.op('Sub', [s.x, s.c(0.25)])];
    return s.op('Attention', [s.x, k, v, ...(mask === undefined ? [] : [mask(s)])], attributes);
  };

const CASES: Readonly<Record<string, Case>> = {
  RMSNormalization: { opset: 23, shape: [3, 8], build: (s) => s.op('RMSNormalization', [s.x, s.c(s.normals([8]))]) },
  'RMSNormalization over two axes, with epsilon': {
    opset: 23,
    shape: [3, 4, 8],
    build: (s) => s.op('RMSNormalization', [s.x, s.c(s.normals([4, 8]))], { axis: int(1), epsilon: float(0.1) }),
  },
  Attention: { opset: 23, shape: HEADS, build: attention() },
  'Attention with scale and softcap': {
    opset: 23,
    shape: HEADS,
    build: attention({ scale: float(0.3), softcap: float(2) }),
  },
  'Attention that is causal': { opset: 23, shape: HEADS, build: attention({ is_causal: int(1) }) },
  'Attention with a mask of floats': { opset: 23, shape: HEADS, build: attention({}, (s) => s.c(s.normals([5, 5]))) },
  'Attention with a mask of bool': {
    opset: 23,
    shape: HEADS,
    build: attention({}, (s) =>
      s.c(
        tensor(
          'bool',
          [5, 5],
          Uint8Array.from({ length: 25 }, (_, i) => (i % 3 === 1 ? 0 : 1)),
        ),
      ),
    ),
  },
  Gelu: { opset: 20, shape: [3, 8], build: (s) => s.op('Gelu', [s.x], { approximate: string('tanh') }) },
};

describe('written in set 17', () => {
  it.each(Object.entries(CASES))('%s', async (_, { opset, shape, build }) => {
    const s = new Source(shape, opset);
    const source = s.finish(build(s));
    const { model } = convertOnnx(source);
    expect(model.opsets.get('')).toBe(17);
    const x = withZeros(shape.reduce((product, size) => product * size, 1));
    const expected = await (await createRun(source))(x, shape);
    expect(maxAbsoluteError(await (await createRun(model))(x, shape), expected)).toBeLessThan(1e-5);
  });
});

describe('computed where constant', () => {
  const bytes = (values: readonly number[]) => tensor('uint8', [values.length], Uint8Array.from(values));
  const NUMBERS = Array.from({ length: 64 }, (_, i) => (i * 37) % 256);
  const int32 = (values: readonly number[]) =>
    tensor(
      'int32',
      [values.length],
      Int32Array.from(values, (x) => x * 7_000_001 - 3e8),
    );
  const CONSTANT: Readonly<Record<string, readonly [string, readonly Tensor[]]>> = {
    'BitwiseAnd of bytes': ['BitwiseAnd', [bytes(NUMBERS), bytes([0x5a])]],
    'BitwiseOr of bytes': ['BitwiseOr', [bytes(NUMBERS), bytes([0x11])]],
    'BitwiseXor of bytes': ['BitwiseXor', [bytes(NUMBERS), bytes([0xff])]],
    'BitwiseNot of bytes': ['BitwiseNot', [bytes(NUMBERS)]],
    'BitwiseAnd of int32': ['BitwiseAnd', [int32(NUMBERS), int32([99])]],
    'BitwiseNot of int32': ['BitwiseNot', [int32(NUMBERS)]],
  };

  it.each(Object.entries(CONSTANT))('%s', async (_, [op, operands]) => {
    const s = new Source([1, 64], 18);
    const mask = s.op(
      'Cast',
      [
        s.op(
          op,
          operands.map((operand) => s.c(operand)),
        ),
      ],
      { to: int(1) },
    );
    const source = s.finish(s.op('Mul', [s.x, mask]));
    const { model } = convertOnnx(source);
    expect(Array.from(model.graph.nodes(), ({ type }) => type)).toEqual(['Mul']);
    const ones = new Float32Array(64).fill(1);
    expect(await (await createRun(model))(ones, [1, 64])).toEqual(await (await createRun(source))(ones, [1, 64]));
  });

  it('weights that the graph unpacks from bits are binary', async () => {
    const s = new Source([3, 32], 18);
    const packed = s.c(
      tensor(
        'uint8',
        [24, 4, 1],
        Uint8Array.from({ length: 96 }, (_, i) => (i * 89) % 256),
      ),
    );
    const shifted = s.op('BitShift', [packed, s.c(bytes([0, 1, 2, 3, 4, 5, 6, 7]))], { direction: string('RIGHT') });
    const bits = s.op('Reshape', [s.op('BitwiseAnd', [shifted, s.c(bytes([1]))]), s.ints([24, 32])]);
    const signs = s.op('Sub', [s.op('Mul', [s.op('Cast', [bits], { to: int(1) }), s.c(2)]), s.c(1)]);
    const x = s.op('Where', [s.op('GreaterOrEqual', [s.x, s.c(0)]), s.c(1), s.c(-1)]);
    const source = s.finish(s.op('MatMul', [x, s.op('Transpose', [signs], { perm: ints([1, 0]) })]));
    const { lowered, report } = convertOnnx(source);
    expect(report.layers).toMatchObject([{ kind: 'binary', bytesBefore: 96 }]);
    expect(report.rest.bytesBefore).toBeGreaterThanOrEqual(0);
    const data = withZeros(96);
    expect(await (await createRun(lowered.model))(data, [3, 32])).toEqual(
      await (await createRun(source))(data, [3, 32]),
    );
  });
});

describe('refused', () => {
  const refusalOf = (opset: number, shape: readonly number[], build: (s: Source) => Value): BnnError => {
    const s = new Source(shape, opset);
    const source = s.finish(build(s));
    try {
      convertOnnx(source);
    } catch (error) {
      if (error instanceof BnnError) return error;
      throw error;
    }
    throw new Error('not refused');
  };

  it.each([
    ['CenterCropPad', 18, (s: Source) => s.op('CenterCropPad', [s.x, s.ints([2, 2])], {}, 'it'), /Slice and Pad/],
    ['RotaryEmbedding', 23, (s: Source) => s.op('RotaryEmbedding', [s.x, s.x, s.x], {}, 'it'), /cos/],
    [
      'BitwiseAnd',
      18,
      (s: Source) =>
        s.op('BitwiseAnd', [s.op('Cast', [s.x], { to: int(2) }), s.c(tensor('uint8', [], Uint8Array.of(5)))], {}, 'it'),
      /BitShift, Mod/,
    ],
    [
      'Attention',
      23,
      (s: Source) => s.op('Attention', [s.x, s.x, s.x], { q_num_heads: int(1), kv_num_heads: int(1) }, 'it'),
      /MatMul, Softmax/,
    ],
  ] as const)('%s, by name, with a hint that can be followed', (op, opset, build, hint) => {
    const error = refusalOf(opset, [1, 4, 4].slice(op === 'Attention' ? 0 : 1), build);
    expect(error).toMatchObject({ code: 'E_UNSUPPORTED' });
    expect(error.message).toContain(`${op}: it came with operator set ${opset}`);
    expect(error.hint).toMatch(hint);
    expect(error.hint).not.toContain('export the model again');
  });
});
