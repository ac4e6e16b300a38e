/** Weights that an exporter computed for good, or left as an expression that only it writes. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { float, int, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { Source } from './build.ts';
import { check, sign } from './check-case.ts';

const CONV = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
const IMAGE = [2, 4, 6, 6];
const SHAPE = [5, 4, 3, 3];

/** ±mean|W| / 3 per output, through the detour of a straight-through estimator, in float32. */
function detoured(s: Source): number[] {
  const latent = s.normals(SHAPE).data.map((w) => Math.max(-1, Math.min(1, 0.3 * w)));
  return Array.from(latent, (w, i) => {
    const o = Math.floor(i / 36);
    const alpha = latent.subarray(36 * o, 36 * o + 36).reduce((sum, v) => sum + Math.abs(v), 0) / 108;
    return Math.fround(Math.fround(Math.fround(w >= 0 ? alpha : -alpha) - w) + w);
  });
}

const conv = (s: Source, w: Value): Value => s.op('Conv', [sign(s, s.x), w, s.c(s.normals([5]))], CONV);
const all = { keepdims: int(1) };

describe('numbers', () => {
  it('that differ by the rounding of a detour are signs, and the report says so', async () => {
    await check({ shape: IMAGE, build: (s) => conv(s, s.c(float32(SHAPE, detoured(s)))) });
    const s = new Source(IMAGE);
    const { report } = convertOnnx(s.finish(conv(s, s.c(float32(SHAPE, detoured(s))))));
    expect(report.changes.join()).toMatch(/weights of 1 layer differ in magnitude by rounding alone/);
  });

  it('that differ by more are floats', () =>
    check({
      shape: IMAGE,
      kinds: ['float'],
      build: (s) =>
        conv(
          s,
          s.c(
            float32(
              SHAPE,
              Array.from(s.signs(SHAPE).data, (w, i) => w * (1 + 1e-3 * (i % 2))),
            ),
          ),
        ),
    }));

  it('of dense layers, outputs last, and of float data', async () => {
    const noisy = (s: Source, shape: readonly number[]) =>
      s.c(
        float32(
          shape,
          Array.from(s.signs(shape).data, (w, i) => w * (1 + 1e-6 * (i % 3))),
        ),
      );
    await check({ shape: [3, 20], build: (s) => s.op('MatMul', [sign(s, s.x), noisy(s, [20, 7])]) });
    await check({
      shape: [3, 20],
      kinds: ['weight-only'],
      build: (s) => s.op('Gemm', [s.x, noisy(s, [7, 20])], { transB: int(1) }),
    });
  });

  it('of an output that a normalization with factor 0 made 0', async () => {
    const holed = (s: Source, shape: readonly number[]) => {
      const w = s.signs(shape, [0.5, 2, 1]);
      const terms = w.data.length / shape[0]!;
      return s.c(float32(shape, w.data.fill(0, terms, 2 * terms)));
    };
    const packed = await check({
      shape: IMAGE,
      kinds: ['binary', 'binary'],
      build: (s) => {
        const first = s.op(
          'Conv',
          [sign(s, s.x), holed(s, SHAPE), s.c(float32([5], [0.5, -0.5, 0.5, 1.5, 0.5]))],
          CONV,
        );
        return s.op('Conv', [sign(s, first), holed(s, [3, 5, 3, 3])], CONV);
      },
    });
    expect(Array.from(packed.graph.nodes(), ({ domain }) => domain)).toEqual(['bnn', 'bnn']);
    await check({
      shape: [3, 20],
      build: (s) =>
        s.op('Gemm', [sign(s, s.x), holed(s, [7, 20]), s.c(s.normals([7]))], { transB: int(1), alpha: float(0.5) }),
    });
  });

  it('one per output: a factor, no binary weights', () =>
    check({
      shape: [2, 16, 3, 3],
      kinds: ['float'],
      build: (s) => s.op('Conv', [s.x, s.c(s.normals([16, 1, 1, 1]))], { kernel_shape: ints([1, 1]), group: int(16) }),
    }));
});

describe('expressions', () => {
  const CASES: Readonly<Record<string, { readonly kind: string; readonly weight: (s: Source) => Value }>> = {
    'XNOR-Net: Sign(W − mean) · ‖W‖₁ / n': {
      kind: 'binary',
      weight: (s) => {
        const w = s.c(s.normals(SHAPE));
        const mean = s.op('ReduceMean', [w], { axes: ints([1]), ...all });
        const centred = s.op('Clip', [s.op('Sub', [w, mean]), s.c(-1), s.c(1)]);
        const norm = s.op('ReduceL1', [centred], { axes: ints([3]), ...all });
        const sum = s.op('ReduceSum', [s.op('ReduceSum', [norm, s.ints([2])], all), s.ints([1])], all);
        const alpha = s.op('Expand', [s.op('Div', [sum, s.c(36)]), s.op('Shape', [w])]);
        return s.op('Mul', [s.op('Sign', [centred]), alpha]);
      },
    },
    'IR-Net: Sign(standardized W) · 2^k': {
      kind: 'binary',
      weight: (s) => {
        const w = s.c(s.normals(SHAPE));
        const norm = s.op('ReduceL2', [w], { axes: ints([1, 2, 3]), ...all });
        const scale = s.op('Pow', [s.c(2), s.op('Round', [s.op('Div', [s.op('Log', [norm]), s.c(Math.LN2)])])]);
        return s.op('Mul', [s.op('Sign', [s.op('Div', [w, norm])]), scale]);
      },
    },
    'DoReFa, two bits': {
      kind: 'multi-bit',
      weight: (s) => {
        const t = s.op('Tanh', [s.c(s.normals(SHAPE))]);
        const most = s.op('ReduceMax', [s.op('Abs', [t])], { keepdims: int(0) });
        const unit = s.op('Add', [s.op('Div', [t, s.op('Mul', [most, s.c(2)])]), s.c(0.5)]);
        const levels = s.op('Div', [s.op('Round', [s.op('Mul', [unit, s.c(3)])]), s.c(3)]);
        return s.op('Sub', [s.op('Mul', [levels, s.c(2)]), s.c(1)]);
      },
    },
    'ternary by a threshold': {
      kind: 'ternary',
      weight: (s) => {
        const w = s.c(s.normals(SHAPE));
        const size = s.op('Abs', [w]);
        const mean = s.op('ReduceMean', [size], { axes: ints([1, 2, 3]), ...all });
        const mask = s.op('Cast', [s.op('Greater', [size, s.op('Mul', [mean, s.c(0.7)])])], { to: int(1) });
        const count = s.op('ReduceSum', [mask, s.ints([1, 2, 3])], all);
        const alpha = s.op('Div', [s.op('ReduceSum', [s.op('Mul', [size, mask]), s.ints([1, 2, 3])], all), count]);
        return s.op('Mul', [s.op('Mul', [alpha, mask]), s.op('Sign', [w])]);
      },
    },
  };
  it.each(Object.keys(CASES))('%s', async (name) => {
    const { kind, weight } = CASES[name]!;
    await check({ shape: IMAGE, kinds: [kind], build: (s) => conv(s, weight(s)) });
  });
});

describe('verdicts', () => {
  const verdict = (shape: readonly number[], build: (s: Source) => Value) => {
    const s = new Source(shape);
    return convertOnnx(s.finish(build(s))).report.layers[0]!;
  };
  const steps = (s: Source, count: number) =>
    s.op('Div', [s.op('Round', [s.op('Mul', [s.op('Clip', [s.x, s.c(0), s.c(1)]), s.c(count)])]), s.c(count)]);

  it('count the levels of activations that are clipped before they are rounded', () => {
    const of = (count: number) => verdict(IMAGE, (s) => s.op('Conv', [steps(s, count), s.c(s.signs(SHAPE))], CONV));
    expect(of(3)).toMatchObject({ kind: 'multi-bit', dataBits: 2 });
    expect(of(15)).toMatchObject({ kind: 'multi-bit', dataBits: 4 });
    expect(of(2)).toMatchObject({ kind: 'ternary', dataBits: 2 });
  });

  it('tell why a layer is not packed', () => {
    const transposed = verdict(IMAGE, (s) => s.op('ConvTranspose', [sign(s, s.x), s.c(s.signs([4, 5, 3, 3]))], CONV));
    expect(transposed).toMatchObject({ source: 'ConvTranspose', kind: 'float' });
    expect(transposed.reason).toMatch(/transposed convolutions are not packed/);
    const solid = { kernel_shape: ints([3, 3, 3]) };
    const three = verdict([1, 2, 4, 4, 4], (s) => s.op('Conv', [sign(s, s.x), s.c(s.signs([3, 2, 3, 3, 3]))], solid));
    expect(three.reason).toMatch(/3 spatial dimensions, binary convolutions have 2/);
    const product = verdict([1, 4, 4], (s) => s.op('MatMul', [sign(s, s.x), s.x]));
    expect(product.reason).toMatch(/both of its operands are computed/);
    const scaled = verdict(IMAGE, (s) =>
      s.op('Conv', [s.op('Mul', [sign(s, s.x), s.c(float32([4, 1, 1], [1, 2, 3, 4]))]), s.c(s.signs(SHAPE))], CONV),
    );
    expect(scaled.reason).toMatch(/signs with factors that differ within a sum, as node "Mul"/);
  });
});
