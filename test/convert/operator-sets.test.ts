/** The same layers in other operator sets and element types. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { float32, tensor } from '../../src/core/tensors/tensor.ts';
import { type Attributes, float, int, ints, string } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
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

  /** Source and latent form in onnxruntime. */
  async function differenceOf(s: Source, y: Value, shape: readonly number[]): Promise<number> {
    const source = s.finish(y);
    const { model } = convertOnnx(source);
    const x = withZeros(shape.reduce((product, size) => product * size, 1));
    const expected = await (await createRun(source))(x, shape);
    return maxAbsoluteError(await (await createRun(model))(x, shape), expected);
  }

  it.each([{}, { axis: int(2) }, { axis: int(-1) }])('Hardmax of set 12 over several dimensions: %o', async (axis) => {
    const s = new Source([2, 3, 2, 2], 12);
    expect(await differenceOf(s, s.op('Hardmax', [s.x], axis), [2, 3, 2, 2])).toBe(0);
  });

  it.each([
    { code: 2, scale: 1 },
    { code: 3, scale: 1 },
    { code: 3, scale: 3 },
  ])('QuantizeLinear of set 21 that names its type: %o', async ({ code, scale }) => {
    const s = new Source([2, 3, 4], 21);
    const scales = s.c(scale === 1 ? float32([], [0.02]) : float32([scale], [0.02, 0.01, 0.05]));
    const bytes = s.op('QuantizeLinear', [s.x, scales], { output_dtype: int(code), axis: int(1) });
    // Numbers below 0 tell int8 from uint8.
    expect(await differenceOf(s, s.op('Cast', [bytes], { to: int(1) }), [2, 3, 4])).toBe(0);
  });

  it.each(['linear', 'cubic', 'nearest', undefined])('GridSample of set 20, mode %s', async (mode) => {
    const s = new Source([1, 2, 4, 4], 20);
    const grid = s.c(float32([1, 2, 2, 2], [-0.7, 0.2, 0.3, -0.4, 0.9, 0.1, 0, 0.6]));
    const modes = mode === undefined ? {} : { mode: string(mode) };
    expect(await differenceOf(s, s.op('GridSample', [s.x, grid], modes), [1, 2, 4, 4])).toBeLessThan(1e-6);
  });

  it('LpPool of set 18 with the attributes that it has since', async () => {
    const s = new Source([1, 2, 4, 4], 18);
    const attributes = { kernel_shape: ints([2, 2]), ceil_mode: int(0), dilations: ints([1, 1]) };
    expect(await differenceOf(s, s.op('LpPool', [s.x], attributes), [1, 2, 4, 4])).toBeLessThan(1e-6);
  });

  it.each([
    { op: 'ReduceMax', noop: 0, axes: undefined },
    { op: 'ReduceMax', noop: 1, axes: undefined },
    { op: 'ReduceMean', noop: 1, axes: [] },
    { op: 'ReduceSumSquare', noop: 0, axes: undefined },
    { op: 'ReduceMin', noop: 1, axes: [2] },
    { op: 'ReduceSum', noop: 1, axes: undefined },
  ])('reductions of set 18: $op, noop_with_empty_axes $noop, axes $axes', async ({ op, noop, axes }) => {
    const s = new Source([2, 3, 4], 18);
    const inputs = axes === undefined ? [s.x] : [s.x, s.ints(axes)];
    const y = s.op('Relu', [s.op(op, inputs, { noop_with_empty_axes: int(noop), keepdims: int(0) })]);
    expect(await differenceOf(s, y, [2, 3, 4])).toBeLessThan(1e-5);
  });

  it.each<[string, number, string, Attributes, string]>([
    ['ReduceL2 that reduces nothing', 18, 'ReduceL2', { noop_with_empty_axes: int(1) }, 'it reduces nothing'],
    ['QuantizeLinear to int16', 21, 'QuantizeLinear', { output_dtype: int(5) }, 'output_dtype is int16'],
    ['QuantizeLinear to float8', 21, 'QuantizeLinear', { output_dtype: int(17) }, 'output_dtype is data type 17'],
    ['LpPool that rounds up', 18, 'LpPool', { kernel_shape: ints([2, 2]), ceil_mode: int(1) }, 'ceil_mode is 1'],
    ['LpPool with gaps', 18, 'LpPool', { kernel_shape: ints([2, 2]), dilations: ints([2, 2]) }, 'dilations are [2, 2]'],
  ])('%s is refused', (_, opset, op, attributes, message) => {
    const s = new Source([1, 2, 4, 4], opset);
    const model = s.finish(s.op(op, op === 'QuantizeLinear' ? [s.x, s.c(0.02)] : [s.x], attributes));
    expect(() => convertOnnx(model)).toThrow(message);
  });

  it('GridSample of set 20 on volumes is refused', () => {
    const s = new Source([1, 1, 2, 4, 4], 20);
    const grid = s.c(s.normals([1, 1, 1, 2, 3]));
    const model = s.finish(s.op('GridSample', [s.x, grid]));
    expect(() => convertOnnx(model)).toThrow('GridSample: its data have 5 dimensions, expected 4');
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
