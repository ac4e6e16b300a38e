/** What exporters write around binary layers that says nothing and hides them: each once made a layer float. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { float32, int64s, tensor } from '../../src/core/tensors/tensor.ts';
import { float, int, ints, tensorAttribute } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { Source, withZeros } from './build.ts';
import { check, sign } from './check-case.ts';
import { createRun } from './run-model.ts';

const IMAGE = [2, 4, 6, 6];
const CONV = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
const PLAIN = { kernel_shape: ints([3, 3]) };
const types = (nodes: Iterable<{ readonly op: string }>) => Array.from(nodes, ({ op }) => op);
const onesLike = (s: Source, x: Value) =>
  s.op('ConstantOfShape', [s.op('Shape', [x])], { value: tensorAttribute(float32([1], [1])) });

describe('expanded operands', () => {
  it('where(x > 0, ones_like(x), -ones_like(x)), with an open batch size', async () => {
    const s = new Source(['N', 12]);
    const shifted = s.op('Add', [s.x, s.c(0.25)]);
    const ones = onesLike(s, shifted);
    const y = s.op('Where', [s.op('Greater', [shifted, s.c(0)]), ones, s.op('Neg', [ones])]);
    const source = s.finish(s.op('MatMul', [y, s.c(s.signs([12, 5]))]));
    const { lowered, report } = convertOnnx(source);
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary']);
    const x = withZeros(36);
    const expected = await (await createRun(source))(x, [3, 12]);
    expect(await (await createRun(lowered.model))(x, [3, 12])).toEqual(expected);
  });

  it('the same with a Shape that says where it starts', () => {
    const s = new Source(['N', 12]);
    const plain = s.op('Sign', [s.x]);
    const one = s.op('Expand', [s.c(1), s.op('Shape', [plain], { start: int(0) })]);
    const y = s.op('Where', [s.op('Equal', [plain, s.c(0)]), one, plain]);
    const { report } = convertOnnx(s.finish(s.op('MatMul', [y, s.c(s.signs([12, 5]))])));
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary']);
  });

  it('the same with the constants that an exporter folds', () =>
    check({
      shape: IMAGE,
      build: (s) => {
        const full = (value: number) => s.c(float32(IMAGE, new Float32Array(288).fill(value)));
        const y = s.op('Where', [s.op('GreaterOrEqual', [s.x, full(0)]), full(1), full(-1)]);
        return s.op('Conv', [y, s.c(s.signs([5, 4, 3, 3]))], CONV);
      },
    }));

  it('a bias per channel that is expanded to the data stays as small as it was', async () => {
    const packed = await check({
      shape: IMAGE,
      kinds: ['binary', 'binary'],
      build: (s) => {
        const layer = (x: Value) => s.op('Conv', [sign(s, x), s.c(s.signs([4, 4, 3, 3], [0.5]))], CONV);
        const biased = (x: Value) =>
          s.op('Add', [x, s.op('Expand', [s.c(s.normals([1, 4, 1, 1])), s.op('Shape', [x])])]);
        return layer(biased(layer(biased(s.x))));
      },
    });
    expect(types(packed.graph.nodes())).toEqual(['BinaryThresholdConvSign', 'BinaryConv']);
  });

  it('an expansion that does change the size stays', async () => {
    const packed = await check({
      shape: [2, 4, 1, 1],
      build: (s) => {
        const y = s.op('Conv', [sign(s, s.x), s.c(s.signs([4, 4, 1, 1]))], { kernel_shape: ints([1, 1]) });
        const wide = s.op('ConstantOfShape', [s.c(int64s([2, 4, 3, 3]))], {
          value: tensorAttribute(float32([1], [2])),
        });
        return s.op('Mul', [y, s.op('Expand', [s.c(s.normals([1, 4, 1, 1])), s.op('Shape', [wide])])]);
      },
    });
    expect(types(packed.graph.nodes())).toContain('Mul');
  });
});

describe('computed pads', () => {
  /** As torch.nn.functional.pad is exported: the pads in reverse order, two by two. */
  const padded = (s: Source, x: Value, fill: number) => {
    const extended = s.op('Concat', [s.ints([1, 1, 1, 1]), s.op('ConstantOfShape', [s.ints([4])], zeros)], {
      axis: int(0),
    });
    const pairs = s.op('Reshape', [extended, s.ints([-1, 2])]);
    const last = s.c(tensor('int64', [1], BigInt64Array.of(-(2n ** 63n) + 1n)));
    const reversed = s.op('Slice', [pairs, s.ints([-1]), last, s.ints([0]), s.ints([-1])]);
    const flat = s.op('Reshape', [s.op('Transpose', [reversed], { perm: ints([1, 0]) }), s.ints([-1])]);
    return s.op('Pad', [x, s.op('Cast', [flat], { to: int(7) }), s.c(fill)]);
  };
  const zeros = { value: tensorAttribute(tensor('int64', [1], BigInt64Array.of(0n))) };

  it.each([0, 1])('with %i', async (fill) => {
    const packed = await check({
      shape: IMAGE,
      build: (s) => s.op('Conv', [padded(s, sign(s, s.x), fill), s.c(s.signs([5, 4, 3, 3], [0.5]))], PLAIN),
    });
    const found = types(packed.graph.nodes());
    expect(found).toEqual(fill === 0 ? ['BinaryConv'] : ['Pad', 'BinaryConv']);
  });

  it('slices of matrices, forward and backward, in steps', () =>
    check({
      shape: [2, 3],
      build: (s) => {
        const all = s.c(s.signs([6, 5, 2]));
        const part = s.op('Slice', [all, s.ints([-1, 1]), s.ints([-6, 9]), s.ints([0, -2]), s.ints([-2, 3])]);
        // Rows 5, 3 and 1, of them columns 1 and 4.
        return s.op('MatMul', [sign(s, s.x), s.op('Reshape', [part, s.ints([3, 4])])]);
      },
    }));
});

it('a rounded hard sigmoid', () =>
  check({
    shape: IMAGE,
    build: (s) => {
      const unit = s.op('Round', [s.op('HardSigmoid', [s.x], { alpha: float(0.5), beta: float(0.5) })]);
      const signs = s.op('Sub', [s.op('Mul', [s.c(2), unit]), s.c(1)]);
      return s.op('Conv', [signs, s.c(s.signs([5, 4, 3, 3]))], CONV);
    },
  }));
