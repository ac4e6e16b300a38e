/** Whatever holds weights has a row with its bits and bytes, and a reason that leads somewhere: in all three tables. */

import { describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { float32, tensor } from '../../src/core/tensors/tensor.ts';
import { int, ints, string } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { summarizeModel } from '../../src/tasks/model-summary.ts';
import { Source } from './build.ts';
import { createRun } from './run-model.ts';

const bytes = (shape: readonly number[], dtype: 'int8' | 'uint8' = 'int8') => {
  const count = shape.reduce((product, size) => product * size, 1);
  const numbers = Array.from({ length: count }, (_, i) => (i * 37) % 100);
  return dtype === 'int8'
    ? tensor('int8', shape, Int8Array.from(numbers))
    : tensor('uint8', shape, Uint8Array.from(numbers));
};
const zero = tensor('uint8', [], Uint8Array.of(0));
const quantized = (s: Source): Value => s.op('QuantizeLinear', [s.x, s.c(0.1), s.c(zero)]);

interface Case {
  readonly shape: readonly number[];
  readonly build: (s: Source) => Value;
  /** Bits per weight. */
  readonly bits: number;
  readonly reason: RegExp;
  /** Bytes of all its constants. */
  readonly bytes: number;
}

const CASES: Readonly<Record<string, Case>> = {
  LSTM: {
    shape: [5, 1, 8],
    build: (s) =>
      s.op('LSTM', [s.x, s.c(s.normals([1, 64, 8])), s.c(s.normals([1, 64, 16])), s.c(s.normals([1, 128]))], {
        hidden_size: int(16),
      }),
    bits: 32,
    reason: /recurrent.*MatMul/,
    bytes: 4 * (512 + 1024 + 128),
  },
  GRU: {
    shape: [5, 1, 8],
    build: (s) => s.op('GRU', [s.x, s.c(s.normals([1, 48, 8])), s.c(s.normals([1, 48, 16]))], { hidden_size: int(16) }),
    bits: 32,
    reason: /recurrent/,
    bytes: 4 * (384 + 768),
  },
  RNN: {
    shape: [5, 1, 8],
    build: (s) => s.op('RNN', [s.x, s.c(s.normals([1, 16, 8])), s.c(s.normals([1, 16, 16]))], { hidden_size: int(16) }),
    bits: 32,
    reason: /recurrent/,
    bytes: 4 * (128 + 256),
  },
  'Gather of an embedding': {
    shape: [3, 4],
    build: (s) => s.op('Gather', [s.c(s.normals([50, 8])), s.op('Cast', [s.x], { to: int(7) })]),
    bits: 32,
    reason: /looked up/,
    bytes: 1600,
  },
  ConvTranspose: {
    shape: [1, 8, 6, 6],
    build: (s) => s.op('ConvTranspose', [s.op('Sign', [s.x]), s.c(s.signs([8, 16, 2, 2]))]),
    bits: 1,
    reason: /Resize and a Conv/,
    bytes: 2048,
  },
  'Conv of three dimensions': {
    shape: [1, 4, 5, 5, 5],
    build: (s) => s.op('Conv', [s.op('Sign', [s.x]), s.c(s.signs([8, 4, 3, 3, 3]))]),
    bits: 1,
    reason: /written as one of 2/,
    bytes: 3456,
  },
  MatMulInteger: {
    shape: [4, 32],
    build: (s) => s.op('Cast', [s.op('MatMulInteger', [quantized(s), s.c(bytes([32, 16]))])], { to: int(1) }),
    bits: 8,
    reason: /before it was quantized/,
    bytes: 512,
  },
  ConvInteger: {
    shape: [1, 4, 6, 6],
    build: (s) =>
      s.op('Cast', [s.op('ConvInteger', [quantized(s), s.c(bytes([8, 4, 3, 3], 'uint8'))])], { to: int(1) }),
    bits: 8,
    reason: /before it was quantized/,
    bytes: 288,
  },
  QLinearConv: {
    shape: [1, 4, 6, 6],
    build: (s) => {
      const w = s.c(bytes([8, 4, 3, 3], 'uint8'));
      const y = s.op('QLinearConv', [quantized(s), s.c(0.1), s.c(zero), w, s.c(0.01), s.c(zero), s.c(0.2), s.c(zero)]);
      return s.op('DequantizeLinear', [y, s.c(0.2), s.c(zero)]);
    },
    bits: 8,
    reason: /before it was quantized/,
    bytes: 288 + 12 + 3,
  },
  QLinearMatMul: {
    shape: [4, 32],
    build: (s) => {
      const w = s.c(bytes([32, 16], 'uint8'));
      const y = s.op('QLinearMatMul', [
        quantized(s),
        s.c(0.1),
        s.c(zero),
        w,
        s.c(0.01),
        s.c(zero),
        s.c(0.2),
        s.c(zero),
      ]);
      return s.op('DequantizeLinear', [y, s.c(0.2), s.c(zero)]);
    },
    bits: 8,
    reason: /before it was quantized/,
    bytes: 512 + 12 + 3,
  },
  MatMulNBits: {
    shape: [3, 64],
    build: (s) =>
      s.op('com.microsoft.MatMulNBits', [s.x, s.c(bytes([48, 2, 16], 'uint8')), s.c(s.normals([48, 2]))], {
        K: int(64),
        N: int(48),
        bits: int(4),
        block_size: int(32),
      }),
    bits: 4,
    reason: /before it was quantized/,
    bytes: 1536 + 384,
  },
  FusedGemm: {
    shape: [4, 32],
    build: (s) => s.op('com.microsoft.FusedGemm', [s.x, s.c(s.normals([32, 16]))], { activation: string('Relu') }),
    bits: 32,
    reason: /before onnxruntime optimized it/,
    bytes: 2048,
  },
  FusedConv: {
    shape: [1, 4, 6, 6],
    build: (s) => s.op('com.microsoft.FusedConv', [s.x, s.c(s.normals([8, 4, 3, 3]))], { activation: string('Relu') }),
    bits: 32,
    reason: /before onnxruntime optimized it/,
    bytes: 1152,
  },
  'an operator of onnxruntime that is in no table': {
    shape: [1, 4, 128],
    build: (s) => s.op('com.microsoft.BiasGelu', [s.x, s.c(s.normals([128]))]),
    bits: 32,
    reason: /before onnxruntime optimized it/,
    bytes: 512,
  },
  'Einsum of three operands': {
    shape: [4, 8],
    build: (s) =>
      s.op('Einsum', [s.x, s.c(s.normals([8, 12])), s.c(s.normals([12, 16]))], { equation: string('ij,jk,kl->il') }),
    bits: 32,
    reason: /./,
    bytes: 4 * (96 + 192),
  },
};

function build({ shape, build: make }: Case): Model {
  const s = new Source(shape);
  s.builder.model.opsets.set('com.microsoft', 1);
  return s.finish(make(s));
}

describe('a row with bits, bytes and a reason', () => {
  it.each(Object.entries(CASES))('%s', async (_, layer) => {
    const model = build(layer);
    // The model is one: a stock onnxruntime runs it.
    const count = layer.shape.reduce((product, size) => product * size, 1);
    await (await createRun(model))(new Float32Array(count).fill(1), layer.shape);

    const { layers, rest } = convertOnnx(model).report;
    const [row, ...others] = layers;
    expect(others).toEqual([]);
    expect(row).toMatchObject({ weightBits: layer.bits, bytesBefore: layer.bytes });
    expect(row!.reason).toMatch(layer.reason);
    expect(row!.reason).not.toContain('--sign-zero');
    expect(row!.sizes.fileBytes).toBeGreaterThanOrEqual(layer.bytes);
    expect(row!.sizes.idealBits).toBeGreaterThanOrEqual(0.9 * 8 * layer.bytes);
    expect(Math.max(rest.bytesBefore, rest.sizes.fileBytes)).toBeLessThanOrEqual(64);

    const exported = lowerToPacked(model).report.layers[0];
    expect(exported?.sizes).toEqual(row!.sizes);
    expect(exported?.reasons).not.toEqual([]);

    const summary = summarizeModel(build(layer));
    expect(summary.parameterBytes).toBeGreaterThanOrEqual(0.9 * layer.bytes);
  });
});

describe('every constant is accounted for', () => {
  it('what belongs to no layer is in a row of its own; the bytes of all rows are those of the model', () => {
    const s = new Source([2, 4, 6, 6]);
    const y = s.op('Conv', [s.x, s.c(s.normals([8, 4, 3, 3])), s.c(s.normals([8]))], { pads: ints([1, 1, 1, 1]) });
    const added = s.op('Add', [y, s.c(s.normals([8, 6, 6]))]);
    const source = s.finish(s.op('Relu', [added]));
    const constants = (model: Model) =>
      [...model.graph.constants()].reduce((sum, v) => sum + v.constant.data.byteLength, 0);
    const { report, lowered } = convertOnnx(source);
    const rows = [...report.layers, report.rest];
    expect(rows.reduce((sum, { bytesBefore }) => sum + bytesBefore, 0)).toBe(constants(source));
    expect(rows.reduce((sum, { sizes }) => sum + sizes.fileBytes, 0)).toBe(constants(lowered.model));
    expect(report.rest).toMatchObject({ operators: ['Add'], sizes: { fileBytes: 1152, idealBits: 8 * 1152 } });
  });

  it('weights that are stored in 8 bits belong to their layer', () => {
    const s = new Source([2, 4, 6, 6]);
    const scale = s.c(float32([8], new Float32Array(8).fill(0.1)));
    const w = s.op('DequantizeLinear', [s.c(bytes([8, 4, 3, 3])), scale], { axis: int(0) });
    const model = s.finish(s.op('Conv', [s.x, w]));
    const [layer] = lowerToPacked(model).report.layers;
    expect(layer).toMatchObject({
      outcome: 'float',
      bytesBefore: 288,
      sizes: { idealBits: 8 * 288, fileBytes: 288 + 32 },
    });
    expect(summarizeModel(model).layers).toMatchObject([{ op: 'Conv', eightBitParameters: 288 }]);
  });
});

describe('reasons', () => {
  it('--sign-zero plus is advised where a layer would become binary by it', () => {
    const s = new Source([1, 4, 6, 6]);
    const model = s.finish(s.op('Conv', [s.op('Sign', [s.x]), s.c(s.signs([8, 4, 3, 3]))]));
    expect(convertOnnx(model).report.layers[0]).toMatchObject({ kind: 'ternary' });
    expect(convertOnnx(model).report.layers[0]!.reason).toContain('--sign-zero plus');
    expect(convertOnnx(model, { signZero: 'plus' }).report.layers[0]).toMatchObject({ kind: 'binary' });
  });
});
