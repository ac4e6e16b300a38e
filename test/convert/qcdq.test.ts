/** Activations of one bit as QuantizeLinear, Clip and DequantizeLinear write them: binary, with the decision of a stock onnxruntime at every float. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { type Dtype, float32, type Tensor, tensor } from '../../src/core/tensors/tensor.ts';
import { int } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { Source } from './build.ts';
import { createRun } from './run-model.ts';

const WIDTH = 32;
const SCALES = [1, 0.5, 0.7, 1 / 3, 0.1, 2.5e-3, 17.3];

const integer = (dtype: 'int8' | 'uint8', x: number): Tensor =>
  dtype === 'int8' ? tensor('int8', [], Int8Array.of(x)) : tensor('uint8', [], Uint8Array.of(x));

const quantize = (s: Source, x: Value, scale: number, dtype: 'int8' | 'uint8', zero = 0): Value =>
  s.op('QuantizeLinear', [x, s.c(scale), s.c(integer(dtype, zero))]);
const dequantize = (s: Source, q: Value, scale: number, dtype: 'int8' | 'uint8', zero = 0): Value =>
  s.op('DequantizeLinear', [q, s.c(scale), s.c(integer(dtype, zero))]);
const clip = (s: Source, q: Value, dtype: 'int8' | 'uint8', low: number, high: number): Value =>
  s.op('Clip', [q, s.c(integer(dtype, low)), s.c(integer(dtype, high))]);

const FORMS: Readonly<Record<string, (s: Source, scale: number) => Value>> = {
  'uint8, clipped to 0 and 1 behind': (s, scale) =>
    dequantize(s, clip(s, quantize(s, s.x, scale, 'uint8'), 'uint8', 0, 1), scale, 'uint8'),
  'int8, clipped to 0 and 1 behind': (s, scale) =>
    dequantize(s, clip(s, quantize(s, s.x, scale, 'int8'), 'int8', 0, 1), scale, 'int8'),
  'int8, clipped to −1 and 0 behind': (s, scale) =>
    dequantize(s, clip(s, quantize(s, s.x, scale, 'int8'), 'int8', -1, 0), scale, 'int8'),
  'a zero point, clipped around it': (s, scale) =>
    dequantize(s, clip(s, quantize(s, s.x, scale, 'uint8', 7), 'uint8', 7, 8), scale, 'uint8', 7),
  'a zero point, clipped away from it': (s, scale) =>
    dequantize(s, clip(s, quantize(s, s.x, scale, 'uint8', 7), 'uint8', 9, 10), scale, 'uint8', 7),
  'clipped by Max and Min of integers': (s, scale) => {
    const low = s.op('Max', [quantize(s, s.x, scale, 'uint8', 3), s.c(integer('uint8', 3))]);
    return dequantize(s, s.op('Min', [s.c(integer('uint8', 4)), low]), scale, 'uint8', 3);
  },
  'clipped before': (s, scale) => {
    const clipped = s.op('Clip', [s.x, s.c(0), s.c(scale)]);
    return dequantize(s, quantize(s, clipped, scale, 'uint8'), scale, 'uint8');
  },
  'clipped before, from one side by the integer': (s, scale) => {
    const clipped = s.op('Clip', [s.x, s.c(-5 * scale), s.c(scale)]);
    return dequantize(s, quantize(s, clipped, scale, 'uint8'), scale, 'uint8');
  },
  'a Relu before, clipped behind': (s, scale) =>
    dequantize(s, clip(s, quantize(s, s.op('Relu', [s.x]), scale, 'uint8'), 'uint8', 0, 1), scale, 'uint8'),
  'clipped before and behind': (s, scale) => {
    const clipped = s.op('Clip', [s.x, s.c(-scale), s.c(3 * scale)]);
    return dequantize(s, clip(s, quantize(s, clipped, scale, 'int8'), 'int8', 0, 1), scale, 'int8');
  },
  'clipped by the range of the integer': (s, scale) =>
    dequantize(s, clip(s, quantize(s, s.x, scale, 'uint8', 254), 'uint8', 254, 255), scale, 'uint8', 254),
  'another scale and zero point behind': (s, scale) =>
    dequantize(s, clip(s, quantize(s, s.x, scale, 'uint8'), 'uint8', 0, 1), 2, 'uint8', 1),
  'a sign, quantized to 0 and 1': (s, scale) =>
    dequantize(s, quantize(s, s.op('Sign', [s.op('Sub', [s.x, s.c(scale)])]), 1, 'uint8'), 1, 'uint8'),
  'a sign that is clipped, quantized': (s, scale) => {
    const sign = s.op('Sign', [s.op('Sub', [s.x, s.c(scale)])]);
    return dequantize(s, quantize(s, s.op('Clip', [sign, s.c(0), s.c(1)]), 1, 'int8'), 1, 'int8');
  },
  'a sign, quantized, clipped to −1 and 0': (s, scale) => {
    const sign = s.op('Sign', [s.op('Sub', [s.x, s.c(scale)])]);
    return dequantize(s, clip(s, quantize(s, sign, 1, 'int8'), 'int8', -1, 0), 1, 'int8');
  },
  'a sign by comparison, quantized': (s, scale) => {
    const sign = s.op('Where', [s.op('GreaterOrEqual', [s.x, s.c(scale)]), s.c(1), s.c(-1)]);
    return dequantize(s, clip(s, quantize(s, sign, 1, 'int8'), 'int8', -1, 1), 1, 'int8');
  },
};

/** Each multiple of half the scale near 0 with its neighbours, and numbers at both ends of the floats. */
function numbersAround(scale: number): number[] {
  const around: number[] = [0, -0, 1e-45, -1e-45, 3e38, -3e38];
  const bits = new DataView(new ArrayBuffer(4));
  for (let half = -6; half <= 6; half++) {
    bits.setFloat32(0, (half / 2) * scale);
    const code = bits.getInt32(0);
    for (const step of [-2, -1, 0, 1, 2]) {
      bits.setInt32(0, code + step);
      if (Number.isFinite(bits.getFloat32(0))) around.push(bits.getFloat32(0));
    }
  }
  return around;
}

function model(build: (s: Source, scale: number) => Value, scale: number): Model {
  const s = new Source(['n', WIDTH]);
  return s.finish(s.op('MatMul', [build(s, scale), s.c(s.signs([WIDTH, 8]))]));
}

describe.each(Object.entries(FORMS))('%s', (_, build) => {
  it.each(SCALES)('scale %f', async (scale) => {
    const source = model(build, scale);
    const { model: latent, lowered, report } = convertOnnx(source);
    expect(report.layers).toMatchObject([{ kind: 'binary', weightBits: 1, dataBits: 1, reason: '' }]);
    expect(report.signs).toEqual({ ternary: [], neverZero: [], changed: [] });
    // Row i has the number in place i; everything else is far below the threshold.
    const numbers = numbersAround(scale).map(Math.fround);
    const rows = numbers.length;
    const x = new Float32Array(rows * WIDTH).fill(-100 * scale);
    for (const [i, number] of numbers.entries()) x[i * WIDTH + (i % WIDTH)] = number;
    const expected = await (await createRun(source))(x, [rows, WIDTH]);
    // A decision that differs changes a sum by a whole step; the sums of the source are rounded.
    for (const form of [latent, lowered.model]) {
      const found = await (await createRun(form))(x, [rows, WIDTH]);
      const worst = expected.reduce((most, y, i) => Math.max(most, Math.abs(y - found[i]!)), 0);
      expect(worst).toBeLessThan(1e-4 * Math.min(scale, 1) * WIDTH);
    }
  });
});

describe('weights', () => {
  it.each(['int8', 'uint8'] as readonly Dtype[])('quantized in the graph, %s', async (dtype) => {
    const s = new Source([4, WIDTH]);
    const zero = dtype === 'int8' ? integer('int8', 0) : integer('uint8', 128);
    const scales = float32(
      [8],
      Float32Array.from({ length: 8 }, (_, i) => 0.1 * (i + 1)),
    );
    const zeros =
      dtype === 'int8'
        ? tensor('int8', [8], new Int8Array(8).fill(Number(zero.data[0])))
        : tensor('uint8', [8], new Uint8Array(8).fill(Number(zero.data[0])));
    // ±scale per output, off by less than half a step.
    const w = float32(
      [8, WIDTH],
      Float32Array.from({ length: 8 * WIDTH }, (_, i) => (i % 3 === 0 ? 1 : -1) * 0.11 * (Math.floor(i / WIDTH) + 1)),
    );
    const q = s.op('QuantizeLinear', [s.c(w), s.c(scales), s.c(zeros)], { axis: int(0) });
    const dq = s.op('DequantizeLinear', [q, s.c(scales), s.c(zeros)], { axis: int(0) });
    const sign = s.op('Where', [s.op('GreaterOrEqual', [s.x, s.c(0)]), s.c(1), s.c(-1)]);
    const source = s.finish(s.op('Gemm', [sign, dq], { transB: int(1) }));
    const { lowered, report } = convertOnnx(source);
    expect(report.layers).toMatchObject([{ kind: 'binary', weightBits: 1 }]);
    const x = Float32Array.from({ length: 4 * WIDTH }, (_, i) => Math.sin(i));
    const expected = await (await createRun(source))(x, [4, WIDTH]);
    const found = await (await createRun(lowered.model))(x, [4, WIDTH]);
    for (const [i, y] of expected.entries()) expect(found[i]).toBeCloseTo(y, 4);
  });
});

describe('what has more levels', () => {
  it('two bits stay multi-bit, and the Sign that gives 0 at 0 is ternary and says what to do', () => {
    const two = model((s) => dequantize(s, clip(s, quantize(s, s.x, 1, 'uint8'), 'uint8', 0, 3), 1, 'uint8'), 1);
    expect(convertOnnx(two).report.layers).toMatchObject([{ kind: 'multi-bit', dataBits: 2 }]);
    const sign = model((s) => dequantize(s, quantize(s, s.op('Sign', [s.x]), 1, 'int8'), 1, 'int8'), 1);
    const { layers } = convertOnnx(sign).report;
    expect(layers).toMatchObject([{ kind: 'ternary', dataBits: 2 }]);
    expect(layers[0]!.reason).toContain('--sign-zero plus');
    expect(convertOnnx(sign, { signZero: 'plus' }).report.layers).toMatchObject([{ kind: 'binary' }]);
  });
});
