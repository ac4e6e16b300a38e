/** Dense layers as exporters write them, of rows and of stacks of matrices. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { tensor } from '../../src/core/tensors/tensor.ts';
import { float, int, ints, string } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { Source, withZeros } from './build.ts';
import { type Case, check, sign } from './check-case.ts';
import { createRun } from './run-model.ts';

const DENSE: Readonly<Record<string, Case>> = {
  'MatMul(x, W)': { shape: [3, 20], build: (s) => s.op('MatMul', [sign(s, s.x), s.c(s.signs([20, 7]))]) },
  'MatMul(x, Transpose(W))': {
    shape: [3, 20],
    build: (s) =>
      s.op('MatMul', [
        sign(s, s.x),
        s.op('Transpose', [s.op('Sign', [s.c(s.normals([7, 20]))])], { perm: ints([1, 0]) }),
      ]),
  },
  'MatMul(W, x)': {
    shape: [20, 3],
    build: (s) => s.op('MatMul', [s.c(s.signs([7, 20], [0.5, 1, 2, 3, 4, 5, 6])), sign(s, s.x)]),
  },
  'MatMul of a stack': { shape: [2, 3, 20], build: (s) => s.op('MatMul', [sign(s, s.x), s.c(s.signs([20, 7]))]) },
  'Gemm(x, W)': {
    shape: [3, 20],
    build: (s) => s.op('Gemm', [sign(s, s.x), s.c(s.signs([20, 7])), s.c(s.normals([7]))]),
  },
  'Gemm(x, Wᵀ), alpha and beta': {
    shape: [3, 20],
    build: (s) =>
      s.op('Gemm', [sign(s, s.x), s.c(s.signs([7, 20], [0.3])), s.c(s.normals([1, 7]))], {
        transB: int(1),
        alpha: float(-0.5),
        beta: float(2),
      }),
  },
  'Gemm(xᵀ, W)': {
    shape: [20, 3],
    build: (s) => s.op('Gemm', [sign(s, s.x), s.c(s.signs([20, 7]))], { transA: int(1) }),
  },
  'Gemm(W, x, C)': {
    shape: [20, 3],
    build: (s) =>
      s.op('Gemm', [s.c(s.signs([7, 20], [0.3])), sign(s, s.x), s.c(s.normals([7, 1]))], {
        alpha: float(2),
        beta: float(3),
      }),
  },
  'Gemm(Wᵀ, xᵀ)': {
    shape: [3, 20],
    build: (s) => s.op('Gemm', [s.c(s.signs([20, 7])), sign(s, s.x)], { transA: int(1), transB: int(1) }),
  },
  'activations 0 or 1': {
    shape: [3, 20],
    build: (s) =>
      s.op(
        'Gemm',
        [
          s.op('Cast', [s.op('GreaterOrEqual', [s.x, s.c(0)])], { to: int(1) }),
          s.c(s.signs([7, 20], [0.3])),
          s.c(s.normals([7])),
        ],
        { transB: int(1), alpha: float(0.5) },
      ),
  },
  'a vector times W': { shape: [20], build: (s) => s.op('MatMul', [sign(s, s.x), s.c(s.signs([20, 7]))]) },
  'MatMul(W, stack)': {
    shape: [2, 20, 3],
    build: (s) => s.op('MatMul', [s.c(s.signs([7, 20], [0.5, 1, 2])), sign(s, s.x)]),
  },
  'MatMul(stack, W of rank 3)': {
    shape: [2, 3, 20],
    build: (s) => s.op('MatMul', [sign(s, s.x), s.op('Sign', [s.c(s.normals([1, 20, 7]))])]),
  },
  'MatMul(stack, another W for each)': {
    shape: [2, 3, 20],
    build: (s) => s.op('MatMul', [sign(s, s.x), s.c(s.signs([2, 20, 7]))]),
  },
  'MatMul(stack of 0 or 1, another W for each, of signs times factors)': {
    shape: [2, 3, 20],
    build: (s) => {
      const w = s.op('Mul', [s.op('Sign', [s.c(s.normals([2, 20, 7]))]), s.c(s.normals([2, 1, 7]))]);
      const y = s.op('MatMul', [s.op('Cast', [s.op('Greater', [s.x, s.c(0)])], { to: int(1) }), w]);
      return s.op('Add', [y, s.c(s.normals([2, 1, 7]))]);
    },
  },
  'MatMul(stack, another W for each, with other factors within a sum)': {
    shape: [2, 3, 20],
    kinds: ['float'],
    build: (s) => s.op('MatMul', [sign(s, s.x), s.op('Mul', [s.c(s.signs([2, 20, 7])), s.c(s.normals([20, 1]))])]),
  },
  'Einsum(x, Wᵀ)': {
    shape: [2, 3, 20],
    build: (s) => s.op('Einsum', [sign(s, s.x), s.c(s.signs([7, 20]))], { equation: string('bti, oi -> bto') }),
  },
  'Einsum(W, x)': {
    shape: [2, 3, 20],
    build: (s) => s.op('Einsum', [s.c(s.signs([20, 7])), sign(s, s.x)], { equation: string('io,...i->...o') }),
  },
  'Einsum without an arrow, and a layer behind it': {
    shape: [2, 3, 20],
    kinds: ['binary', 'binary'],
    build: (s) => {
      const y = s.op('Einsum', [sign(s, s.x), s.c(s.signs([20, 7]))], { equation: string('abi,iz') });
      return s.op('MatMul', [sign(s, s.op('Add', [y, s.c(0.5)])), s.c(s.signs([7, 5]))]);
    },
  },
  'Einsum over another dimension': {
    shape: [2, 20, 3],
    kinds: ['float'],
    build: (s) => s.op('Einsum', [sign(s, s.x), s.c(s.signs([20, 7]))], { equation: string('bit,io->bto') }),
  },
  'a factor for each row': {
    shape: [2, 3, 20],
    build: (s) => {
      const mean = s.op('ReduceMean', [s.op('Abs', [s.x])], { axes: ints([-1]), keepdims: int(1) });
      return s.op('Add', [
        s.op('MatMul', [s.op('Mul', [sign(s, s.x), mean]), s.c(s.signs([20, 7], [0.5]))]),
        s.c(s.normals([7])),
      ]);
    },
  },
  'a divisor for each row of a Gemm': {
    shape: [3, 20],
    build: (s) => {
      const largest = s.op('ReduceMax', [s.op('Abs', [s.x])], { axes: ints([1]), keepdims: int(1) });
      const inputs = [s.op('Div', [sign(s, s.x), largest]), s.c(s.signs([7, 20])), s.c(s.normals([7]))];
      return s.op('Gemm', inputs, { transB: int(1), alpha: float(0.5), beta: float(3) });
    },
  },
  'a factor for each element: only the weights are signs': {
    shape: [3, 20],
    kinds: ['weight-only'],
    build: (s) => s.op('MatMul', [s.op('Mul', [sign(s, s.x), s.c(s.normals([20]))]), s.c(s.signs([20, 7]))]),
  },
  'a bias for each element, and one that is computed': {
    shape: [3, 20],
    kinds: ['binary', 'binary'],
    build: (s) => {
      const first = s.op('Gemm', [sign(s, s.x), s.c(s.signs([20, 7], [0.5])), s.c(s.normals([3, 7]))], {
        beta: float(0.5),
      });
      return s.op('Gemm', [sign(s, s.x), s.c(s.signs([7, 20])), first], { transB: int(1) });
    },
  },
  'signs that a quantizer passed': {
    shape: [3, 20],
    build: (s) => {
      const [scale, zero] = [s.c(0.01), s.c(tensor('int8', [], Int8Array.of(3)))];
      const quantized = s.op('QuantizeLinear', [sign(s, s.x), scale, zero]);
      return s.op('MatMul', [s.op('DequantizeLinear', [quantized, scale, zero]), s.c(s.signs([20, 7]))]);
    },
  },
  'weights that the graph unpacks from bits': {
    shape: [3, 16],
    build: (s) => {
      const bytes = s.c(
        tensor(
          'uint8',
          [7, 2, 1],
          Uint8Array.from({ length: 14 }, (_, i) => (i * 89 + 7) % 256),
        ),
      );
      const shifted = s.op(
        'BitShift',
        [
          bytes,
          s.c(
            tensor(
              'uint8',
              [8],
              Uint8Array.from({ length: 8 }, (_, i) => i),
            ),
          ),
        ],
        { direction: string('RIGHT') },
      );
      const bits = s.op('Mod', [shifted, s.c(tensor('uint8', [], Uint8Array.of(2)))]);
      const floats = s.op('Cast', [s.op('Reshape', [bits, s.ints([7, 16])])], { to: int(1) });
      const w = s.op('Sub', [s.op('Mul', [floats, s.c(2)]), s.c(1)]);
      return s.op('Gemm', [sign(s, s.x), w], { transB: int(1) });
    },
  },
  'integer operators, which are not packed': {
    shape: [3, 20],
    kinds: ['multi-bit'],
    build: (s) => {
      const data = s.op('Cast', [sign(s, s.x)], { to: int(3) });
      const weight = s.c(tensor('int8', [20, 7], Int8Array.from(s.signs([20, 7]).data)));
      return s.op('Cast', [s.op('MatMulInteger', [data, weight])], { to: int(1) });
    },
  },
  'a factor per output behind it': {
    shape: [3, 20],
    build: (s) =>
      s.op('Add', [
        s.op('Mul', [s.op('MatMul', [sign(s, s.x), s.c(s.signs([20, 7]))]), s.c(s.normals([7]))]),
        s.c(s.normals([7])),
      ]),
  },
};

describe('dense layers', () => {
  it('of stacks whose sizes are open', async () => {
    const s = new Source(['batch', 'tokens', 20]);
    const layer = (x: Value, from: number, to: number) =>
      s.op('Add', [s.op('MatMul', [sign(s, x), s.c(s.signs([from, to], [0.5]))]), s.c(s.normals([to]))]);
    const source = s.finish(layer(s.op('Mul', [layer(s.x, 20, 12), s.c(0.7)]), 12, 7));
    const { model, lowered, report } = convertOnnx(source);
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary', 'binary']);
    for (const shape of [
      [1, 1, 20],
      [2, 3, 20],
      [5, 4, 20],
    ]) {
      const x = withZeros(shape.reduce((product, size) => product * size, 1));
      const expected = await (await createRun(source))(x, shape);
      for (const form of [model, lowered.model]) {
        expect(maxAbsoluteError(await (await createRun(form))(x, shape), expected)).toBeLessThan(1e-5);
      }
    }
    // The first layer compares its sums, and the second takes its signs as they are.
    const types = Array.from(lowered.model.graph.nodes(), ({ type }) => type);
    expect(types.sort()).toEqual(['Concat', 'Reshape', 'Reshape', 'Shape', 'bnn.BinaryGemm', 'bnn.BinaryGemmSign']);
  });

  it.each(Object.keys(DENSE))('%s', async (name) => {
    await check(DENSE[name]!);
  });
});
