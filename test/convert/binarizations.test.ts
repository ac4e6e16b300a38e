/** Every way to write a sign, against the source itself in a stock onnxruntime, with inputs at and around the threshold. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { Source } from './build.ts';
import { createRun } from './run-model.ts';

type Write = (s: Source, x: Value) => Value;

const FLOAT = { to: int(1) };
const compare =
  (op: string, c = 0): Write =>
  (s, x) =>
    s.op(op, [x, s.c(c)]);
const cast = (s: Source, x: Value): Value => s.op('Cast', [x], FLOAT);

/** Forms of two values; all become one `bnn.Sign`. */
const TWO_VALUED: Readonly<Record<string, Write>> = {
  'Sign(Sign(x) + 0.1)': (s, x) => s.op('Sign', [s.op('Add', [s.op('Sign', [x]), s.c(0.1)])]),
  'Sign(0.1 + Sign(x))': (s, x) => s.op('Sign', [s.op('Add', [s.c(0.1), s.op('Sign', [x])])]),
  'Sign(Sign(x) − 0.1)': (s, x) => s.op('Sign', [s.op('Add', [s.op('Sign', [x]), s.c(-0.1)])]),
  'Sign(Sign(x) − 0.1) by Sub': (s, x) => s.op('Sign', [s.op('Sub', [s.op('Sign', [x]), s.c(0.1)])]),
  'Where(x ≥ 0, 1, −1)': (s, x) => s.op('Where', [compare('GreaterOrEqual')(s, x), s.c(1), s.c(-1)]),
  'Where(x > 0, 1, −1)': (s, x) => s.op('Where', [compare('Greater')(s, x), s.c(1), s.c(-1)]),
  'Where(x < 0, −1, 1)': (s, x) => s.op('Where', [compare('Less')(s, x), s.c(-1), s.c(1)]),
  'Where(x ≤ 0, −1, 1)': (s, x) => s.op('Where', [compare('LessOrEqual')(s, x), s.c(-1), s.c(1)]),
  'Where(x > 0, −1, 1)': (s, x) => s.op('Where', [compare('Greater')(s, x), s.c(-1), s.c(1)]),
  'Where(0 ≤ x, 1, −1)': (s, x) => s.op('Where', [s.op('LessOrEqual', [s.c(0), x]), s.c(1), s.c(-1)]),
  'Where(0 < x, 1, −1)': (s, x) => s.op('Where', [s.op('Less', [s.c(0), x]), s.c(1), s.c(-1)]),
  'Where(Not(x < 0), 1, −1)': (s, x) => s.op('Where', [s.op('Not', [compare('Less')(s, x)]), s.c(1), s.c(-1)]),
  '2 · (x ≥ 0) − 1': (s, x) => s.op('Sub', [s.op('Mul', [s.c(2), cast(s, compare('GreaterOrEqual')(s, x))]), s.c(1)]),
  '1 − 2 · (x < 0)': (s, x) => s.op('Sub', [s.c(1), s.op('Mul', [cast(s, compare('Less')(s, x)), s.c(2)])]),
  '(x > 0) · 2 + −1': (s, x) => s.op('Add', [s.op('Mul', [cast(s, compare('Greater')(s, x)), s.c(2)]), s.c(-1)]),
  '((x ≥ 0) − 0.5) / 0.5': (s, x) =>
    s.op('Div', [s.op('Sub', [cast(s, compare('GreaterOrEqual')(s, x)), s.c(0.5)]), s.c(0.5)]),
  '(x > 0) − (x ≤ 0)': (s, x) =>
    s.op('Sub', [cast(s, compare('Greater')(s, x)), cast(s, compare('LessOrEqual')(s, x))]),
  'Sign(Sign(Clip(x, −1, 1)) + 0.5)': (s, x) =>
    s.op('Sign', [s.op('Add', [s.op('Sign', [s.op('Clip', [x, s.c(-1), s.c(1)])]), s.c(0.5)])]),
  'Where(Clip(x) ≥ 0)': (s, x) =>
    s.op('Where', [compare('GreaterOrEqual')(s, s.op('Clip', [x, s.c(-1), s.c(1)])), s.c(1), s.c(-1)]),
  'Where(Tanh(x) ≥ 0)': (s, x) => s.op('Where', [compare('GreaterOrEqual')(s, s.op('Tanh', [x])), s.c(1), s.c(-1)]),
  'Sign(x) + (Sign(x) = 0)': (s, x) => {
    const sign = s.op('Sign', [x]);
    return s.op('Add', [sign, cast(s, s.op('Equal', [sign, s.c(0)]))]);
  },
  'y = Sign(x), y[y = 0] = 1': (s, x) => {
    const y = s.op('Sign', [x]);
    const mask = s.op('Equal', [y, s.c(0)]);
    const places = s.op('Transpose', [s.op('NonZero', [mask])], { perm: ints([1, 0]) });
    const flat = s.op('Cast', [s.op('Reshape', [mask, s.ints([-1])])], { to: int(7) });
    const ones = s.op('Expand', [s.c(1), s.op('ReduceSum', [flat], { keepdims: int(1) })]);
    return s.op('ScatterND', [y, places, s.op('Reshape', [ones, s.ints([-1])])]);
  },
  'x ≥ 0.25': (s, x) => s.op('Where', [compare('GreaterOrEqual', 0.25)(s, x), s.c(1), s.c(-1)]),
  'x > 0.25': (s, x) => s.op('Where', [compare('Greater', 0.25)(s, x), s.c(1), s.c(-1)]),
  'x > −0.25, values −0.5 and 2': (s, x) => s.op('Where', [compare('Greater', -0.25)(s, x), s.c(2), s.c(-0.5)]),
  'hard sigmoid, rounded': (s, x) => {
    const unit = s.op('Clip', [s.op('Add', [s.op('Mul', [x, s.c(0.5)]), s.c(0.5)]), s.c(0), s.c(1)]);
    return s.op('Sub', [s.op('Mul', [s.op('Round', [unit]), s.c(2)]), s.c(1)]);
  },
  'Clip(Round(x), 0, 1), a quantizer of one bit': (s, x) => s.op('Clip', [s.op('Round', [x]), s.c(0), s.c(1)]),
  'Clip(Floor(x), −1, 0)': (s, x) => s.op('Clip', [s.op('Floor', [x]), s.c(-1), s.c(0)]),
  'Round(Sigmoid(x))': (s, x) => s.op('Round', [s.op('Sigmoid', [x])]),
  'Sign(Relu(x))': (s, x) => s.op('Sign', [s.op('Relu', [x])]),
  'Sign(Clip(x, 0, 6))': (s, x) => s.op('Sign', [s.op('Clip', [x, s.c(0), s.c(6)])]),
  'Relu(x) > 0': (s, x) => s.op('Where', [compare('Greater')(s, s.op('Relu', [x])), s.c(1), s.c(-1)]),
  'Clip(x, 0, 0.25) ≥ 0.25': (s, x) =>
    s.op('Where', [compare('GreaterOrEqual', 0.25)(s, s.op('Clip', [x, s.c(0), s.c(0.25)])), s.c(1), s.c(-1)]),
  '0 or 1': (s, x) => cast(s, compare('GreaterOrEqual')(s, x)),
  '±0.3': (s, x) => s.op('Mul', [s.op('Where', [compare('Less')(s, x), s.c(-1), s.c(1)]), s.c(0.3)]),
  'straight-through, (b − c) + c': (s, x) => {
    const b = s.op('Where', [compare('GreaterOrEqual')(s, x), s.c(1), s.c(-1)]);
    const c = s.op('Clip', [x, s.c(-1), s.c(1)]);
    return s.op('Add', [s.op('Sub', [b, c]), c]);
  },
};

/** At, just beside and far from every threshold above, and the smallest float32 numbers. */
const POINTS = Float32Array.of(
  ...[0, -0, 2 ** -149, -(2 ** -149), 2 ** -126, -(2 ** -126), 1e-7, -1e-7, 1, -1, 0.25, -0.25, 3, -3, 100, -100],
  ...[0.25000003, 0.24999999, -0.24999999, -0.25000003, 0.5, -0.5, 1e30, -1e30],
);

async function both(write: Write): Promise<{ expected: number[]; found: number[]; signs: number; others: string[] }> {
  const s = new Source(['N', POINTS.length]);
  const model = s.finish(write(s, s.x));
  const { model: latent } = convertOnnx(model);
  const expected = Array.from(await (await createRun(model))(POINTS, [1, POINTS.length]));
  const found = Array.from(await (await createRun(latent))(POINTS, [1, POINTS.length]));
  const types = Array.from(latent.graph.nodes(), ({ type }) => type);
  return {
    expected,
    found,
    signs: types.filter((type) => type === 'bnn.Sign').length,
    others: types.filter((type) => !['bnn.Sign', 'Sub', 'Neg', 'Mul', 'Add', 'Clip', 'Tanh', 'Sigmoid'].includes(type)),
  };
}

describe('two values', () => {
  it.each(Object.keys(TWO_VALUED))('%s', async (name) => {
    const { expected, found, signs, others } = await both(TWO_VALUED[name]!);
    expect(signs).toBe(1);
    expect(others).toEqual([]);
    if (name.startsWith('straight-through')) {
      for (const [i, y] of expected.entries()) expect(Math.abs(found[i]! - y)).toBeLessThanOrEqual(2 ** -23);
    } else expect(found).toEqual(expected.map((y) => y + 0));
  });
});

describe('a detour by which a sign is repeated along a dimension stays', () => {
  it.each<[string, (s: Source, a: Value, b: Value) => Value]>([
    ['(a − b) + b', (s, a, b) => s.op('Add', [s.op('Sub', [a, b]), b])],
    ['b + (a − b)', (s, a, b) => s.op('Add', [b, s.op('Sub', [a, b])])],
    ['(a + b) − b', (s, a, b) => s.op('Sub', [s.op('Add', [a, b]), b])],
  ])('%s', async (_, detour) => {
    for (const axis of [2, 0]) {
      const s = new Source([2, 3, 4]);
      const mean = s.op('ReduceMean', [s.x], { axes: ints([axis]), keepdims: int(axis === 2 ? 1 : 0) });
      const a = s.op('Where', [compare('GreaterOrEqual')(s, mean), s.c(1), s.c(-1)]);
      const model = s.finish(s.op('MatMul', [detour(s, a, s.x), s.c(s.normals([4, 5]))]));
      const { model: latent } = convertOnnx(model);
      const x = s.normals([24]).data;
      const expected = await (await createRun(model))(x, [2, 3, 4]);
      const found = await (await createRun(latent))(x, [2, 3, 4]);
      expect(found.length).toBe(expected.length);
      for (const [i, y] of expected.entries()) expect(Math.abs(found[i]! - y)).toBeLessThanOrEqual(1e-5);
    }
  });
});

describe('what is not two-valued stays as it is', () => {
  it.each<[string, Write]>([
    ['Sign(x)', (s, x) => s.op('Sign', [x])],
    ['Sign(Clip(x))', (s, x) => s.op('Sign', [s.op('Clip', [x, s.c(-1), s.c(1)])])],
    ['(x > 0) − (x < 0)', (s, x) => s.op('Sub', [cast(s, compare('Greater')(s, x)), cast(s, compare('Less')(s, x))])],
    ['Round(Clip(x, −1, 1))', (s, x) => s.op('Round', [s.op('Clip', [x, s.c(-1), s.c(1)])])],
    ['Clip(x, −1, 1)', (s, x) => s.op('Clip', [x, s.c(-1), s.c(1)])],
    [
      'x ≥ 0 and x ≥ 1',
      (s, x) => s.op('Add', [cast(s, compare('GreaterOrEqual')(s, x)), cast(s, compare('GreaterOrEqual', 1)(s, x))]),
    ],
  ])('%s', async (_, write) => {
    const { expected, found } = await both(write);
    expect(found.map((y) => y + 0)).toEqual(expected.map((y) => y + 0));
  });

  it('a sign that gives 0 becomes +1 there only on request, and the report says so', () => {
    const s = new Source(['N', 4]);
    const model = s.finish(s.op('Sign', [s.x], {}, 'act'));
    expect(convertOnnx(model).report.signs).toEqual({ ternary: ['act'], neverZero: [], changed: [] });
    const { model: changed, report } = convertOnnx(model, { signZero: 'plus' });
    expect(report.signs.changed).toEqual(['act']);
    expect(report.changes.join()).toContain('+1 instead of 0');
    expect(Array.from(changed.graph.nodes(), ({ type }) => type)).toEqual(['bnn.Sign']);
  });

  it('on request, the sign of what never is negative stays 0 or 1', async () => {
    const s = new Source(['N', 3]);
    const { model, report } = convertOnnx(s.finish(s.op('Sign', [s.op('Relu', [s.x])])), { signZero: 'plus' });
    expect(report.signs.changed).toEqual([]);
    expect(Array.from(await (await createRun(model))(Float32Array.of(-1, 0, 2), [1, 3]))).toEqual([0, 0, 1]);
  });

  it('on request, a sign with an offset behind it keeps the value that the offset gives', async () => {
    const s = new Source(['N', 2]);
    const model = s.finish(s.op('Sign', [s.op('Sub', [s.op('Sign', [s.x]), s.c(0.1)])]));
    const { model: latent, report } = convertOnnx(model, { signZero: 'plus' });
    expect(report.signs.changed).toEqual([]);
    expect(Array.from(await (await createRun(latent))(Float32Array.of(0, 1), [1, 2]))).toEqual([-1, 1]);
  });
});

describe('thresholds per channel', () => {
  it.each(['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'])('%s', async (op) => {
    const s = new Source([1, 3, 4]);
    const t = s.c({ dtype: 'float32', shape: [3, 1], data: Float32Array.of(-0.5, 0, 1.5) });
    const model = s.finish(s.op('Where', [s.op(op, [s.x, t]), s.c(1), s.c(-1)]));
    const { model: latent } = convertOnnx(model);
    const x = Float32Array.of(-0.5, 0, 1, -1, 0, -0, 1, -1, 1.5, 1.4999999, 1.5000001, 0);
    expect(await (await createRun(latent))(x, [1, 3, 4])).toEqual(await (await createRun(model))(x, [1, 3, 4]));
    expect(Array.from(latent.graph.nodes(), ({ type }) => type)).toContain('bnn.Sign');
  });
});
