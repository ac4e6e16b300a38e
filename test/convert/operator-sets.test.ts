/** The same layers in other operator sets and element types. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { float32, tensor } from '../../src/core/tensors/tensor.ts';
import { float, int, ints, string } from '../../src/graph/attribute.ts';
import { Source, withZeros } from './build.ts';
import { check, sign } from './check-case.ts';
import { createRun } from './run-model.ts';

const PLAIN = { kernel_shape: ints([3, 3]) };
const CONV = { ...PLAIN, pads: ints([1, 1, 1, 1]) };
const IMAGE = [2, 4, 6, 6];

describe('other operator sets', () => {
  it.each([7, 8, 9, 10, 11, 12])('opset %i: attributes that became inputs', async (opset) => {
    await check({
      shape: IMAGE,
      opset,
      build: (s) => {
        const padded =
          opset < 11
            ? s.op('Pad', [s.x], { pads: ints([0, 0, 1, 1, 0, 0, 1, 1]), value: float(0.5), mode: string('constant') })
            : s.op('Pad', [s.x, s.ints([0, 0, 1, 1, 0, 0, 1, 1]), s.c(0.5)]);
        const clipped =
          opset < 11
            ? s.op('Clip', [padded], { min: float(-1), max: float(1) })
            : s.op('Clip', [padded, s.c(-1), s.c(1)]);
        const cast = s.op('Cast', [s.op('Greater', [clipped, s.c(0)])], { to: int(1) });
        const signs = s.op('Sub', [s.op('Mul', [cast, s.c(2)]), s.c(1)]);
        const y = s.op('Conv', [signs, s.c(s.signs([5, 4, 3, 3]))], PLAIN);
        const wide = s.op('Unsqueeze', [y], { axes: ints([0]) });
        const sum = s.op('ReduceSum', [s.op('Squeeze', [wide], { axes: ints([0]) })], {
          axes: ints([2, 3]),
          keepdims: int(0),
        });
        return s.op('Softmax', [sum], { axis: int(1) });
      },
    });
  });

  it.each([18, 20, 21, 22])('opset %i: attributes that became inputs later, Gelu, axes of Pad', async (opset) => {
    await check({
      shape: IMAGE,
      opset,
      tolerance: 1e-5,
      build: (s) => {
        const padded = s.op('Pad', [s.x, s.ints([1, 1, 1, 1]), s.c(-1), s.ints([2, -1])]);
        const y = s.op('Conv', [sign(s, padded), s.c(s.signs([5, 4, 3, 3], [0.1]))], PLAIN);
        const smooth = opset >= 20 ? s.op('Gelu', [y]) : s.op('Relu', [y]);
        return s.op('ReduceMean', [smooth, s.ints([2, 3])], { keepdims: int(0) });
      },
    });
  });

  it.each([18, 21])('opset %i: Resize, averages, Mish and normalization of groups', async (opset) => {
    await check({
      shape: IMAGE,
      opset,
      build: (s) => {
        const y = s.op('Conv', [sign(s, s.x), s.c(s.signs([6, 4, 3, 3], [0.1, 0.2]))], CONV);
        const factors = s.c(s.normals([opset >= 21 ? 6 : 2]));
        const normal = s.op('GroupNormalization', [y, factors, factors], { num_groups: int(2) });
        const large = s.op('Resize', [normal, null, s.c(float32([4], [1, 1, 2, 2]))], {
          mode: string('nearest'),
          nearest_mode: string('floor'),
          coordinate_transformation_mode: string('asymmetric'),
          keep_aspect_ratio_policy: string('stretch'),
          antialias: int(0),
        });
        const dilations = opset >= 19 ? { dilations: ints([1, 1]) } : {};
        return s.op('AveragePool', [s.op('Mish', [large])], { kernel_shape: ints([2, 2]), ...dilations });
      },
    });
  });

  it('Softmax over several dimensions, batch normalization with unread statistics', async () => {
    const s = new Source([2, 3, 2, 2], 8);
    const c = (values: readonly number[]) => s.c(float32([3], values));
    const inputs = [s.x, c([1, 2, 3]), c([0, 1, 0]), c([0, 0, 1]), c([1, 4, 2])];
    const model = s.finish(s.op('Softmax', [s.op('BatchNormalization', inputs)], { axis: int(1) }));
    const { model: latent } = convertOnnx(model);
    const x = withZeros(24);
    const expected = await (await createRun(model))(x, [2, 3, 2, 2]);
    expect(maxAbsoluteError(await (await createRun(latent))(x, [2, 3, 2, 2]), expected)).toBeLessThan(1e-6);
  });

  it('refuses what set 17 cannot express, naming the node', () => {
    const s = new Source([1, 2, 4, 4], 18);
    const model = s.finish(s.op('CenterCropPad', [s.x, s.ints([1, 2, 4, 4])], {}, 'm'));
    expect(() => convertOnnx(model)).toThrow(/CenterCropPad: it came with operator set 18/);
  });
});

describe('half precision', () => {
  it('weights of half precision are read exactly', async () => {
    const half = (bits: readonly number[]) => tensor('float16', [4, 4], Uint16Array.from(bits));
    // ±0.5 in half precision.
    const bits = Array.from({ length: 16 }, (_, i) => (i % 3 === 0 ? 0x3800 : 0xb800));
    await check({
      shape: [3, 4],
      build: (s) => s.op('MatMul', [sign(s, s.x), s.op('Cast', [s.c(half(bits))], { to: int(1) })]),
    });
  });

  it('a model of half precision is computed in float32, and the report says so', () => {
    const s = new Source([1, 4]);
    const graph = s.builder.model.graph;
    s.x.dtype = 'float16';
    const w = s.c(
      tensor(
        'float16',
        [4, 4],
        Uint16Array.from({ length: 16 }, (_, i) => (i % 3 === 0 ? 0x3c00 : 0xbc00)),
      ),
    );
    const zero = s.c(tensor('float16', [], Uint16Array.of(0)));
    const one = s.c(tensor('float16', [], Uint16Array.of(0x3c00)));
    const minus = s.c(tensor('float16', [], Uint16Array.of(0xbc00)));
    const y = s.op('MatMul', [s.op('Where', [s.op('Less', [s.x, zero]), minus, one]), w]);
    y.dtype = 'float16';
    graph.addOutput(y);
    const { report, model } = convertOnnx(s.builder.model);
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary']);
    expect(report.layers[0]!.bytesBefore).toBe(32);
    expect(model.graph.inputs[0]!.dtype).toBe('float32');
    expect(report.changes.join()).toContain('float32 instead of float16');
  });
});
