/** Functions, foreign operators, constants and the rules for signs at 0. */

import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { withZeroPolicy } from '../../src/convert/signs/sign-policy.ts';
import { toStandardForm } from '../../src/convert/standard/standard-form.ts';
import { levelsOfWeights } from '../../src/convert/verdict/weight-levels.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { float, int, reference, string } from '../../src/graph/attribute.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Source } from './build.ts';
import { createRun } from './run-model.ts';

describe('functions of the model', () => {
  it('are looked into, with the attributes of the caller', async () => {
    const body = new Graph('Binarize');
    const x = body.addInput('x', { dtype: null, shape: null });
    const c = body.addNode('Constant', [], { attributes: { value_float: reference('offset', 'float') } });
    const sum = body.addNode('Add', [body.addNode('Sign', [x]).output, c.output]);
    body.addOutput(body.addNode('Sign', [sum.output]).output);
    const s = new Source(['N', 4]);
    s.builder.model.opsets.set('custom', 1);
    s.builder.model.functions.push({
      domain: 'custom',
      name: 'Binarize',
      body,
      attributes: ['offset'],
      opsets: new Map([['', 17]]),
    });
    const y = s.op('custom.Binarize', [s.x], { offset: float(-0.1) });
    y.dtype = 'float32';
    const source = s.finish(s.op('MatMul', [y, s.c(s.signs([4, 4]))]));
    const { model, report } = convertOnnx(source);
    expect(model.functions.map(({ domain }) => domain)).toEqual(['bnn']);
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary']);
    const values = Float32Array.of(0, -0, 1, -1);
    expect(await (await createRun(model))(values, [1, 4])).toEqual(await (await createRun(source))(values, [1, 4]));
  });

  it('give their nodes names of their own, however often they are called and whether calls have names', async () => {
    const body = new Graph('Twice');
    const x = body.addInput('x', { dtype: null, shape: null });
    body.addOutput(body.addNode('Add', [x, x], { name: 'sum' }).output);
    const s = new Source([1, 4]);
    s.builder.model.opsets.set('custom', 1);
    s.builder.model.functions.push({
      domain: 'custom',
      name: 'Twice',
      body,
      attributes: [],
      opsets: new Map([['', 17]]),
    });
    const y = ['', '', 'c', 'c'].reduce((value, name) => {
      const result = s.op('custom.Twice', [value], {}, name);
      result.dtype = 'float32';
      return s.op('Relu', [result]);
    }, s.x);
    const { model } = convertOnnx(s.finish(y));
    const names = Array.from(model.graph.nodes(), ({ name }) => name).filter((name) => name.endsWith('sum'));
    expect(names.map((name) => name.startsWith('/'))).toEqual([false, false, false, false]);
    expect(Array.from(await (await createRun(model))(Float32Array.of(1, -1, 0, 2), [1, 4]))).toEqual([16, 0, 0, 32]);
  });
});

describe('operators of other tools', () => {
  it.each(['onnx.brevitas', 'qonnx.custom_op.general'])('BipolarQuant of %s: +scale from 0 on', async (domain) => {
    const s = new Source(['N', 5]);
    s.builder.model.opsets.set(domain, 1);
    const { model } = convertOnnx(s.finish(s.op(`${domain}.BipolarQuant`, [s.x, s.c(float32([1], [0.25]))])));
    const found = await (await createRun(model))(Float32Array.of(0, -0, -0.001, 3, -7), [1, 5]);
    expect(Array.from(found)).toEqual([0.25, 0.25, -0.25, 0.25, -0.25]);
  });

  it.each([
    // bits, signed, narrow -> least and greatest integer
    { bits: 4, signed: 1, narrow: 0, low: -8, high: 7 },
    { bits: 4, signed: 1, narrow: 1, low: -7, high: 7 },
    { bits: 3, signed: 0, narrow: 0, low: 0, high: 7 },
  ])('Quant of $bits bits, signed $signed, narrow $narrow', async ({ bits, signed, narrow, low, high }) => {
    const s = new Source(['N', 6]);
    s.builder.model.opsets.set('onnx.brevitas', 1);
    const attributes = { signed: int(signed), narrow: int(narrow), rounding_mode: string('ROUND') };
    const y = s.op('onnx.brevitas.Quant', [s.x, s.c(0.5), s.c(0), s.c(bits)], attributes);
    const { model, report } = convertOnnx(s.finish(s.op('MatMul', [y, s.c(s.signs([6, 6]))])));
    expect(report.layers[0]!.kind).toBe('multi-bit');
    expect(report.layers[0]!.dataBits).toBe(bits);
    const standard = new Source(['N', 6]);
    standard.builder.model.opsets.set('onnx.brevitas', 1);
    const plain = toStandardForm(
      standard.finish(
        standard.op('onnx.brevitas.Quant', [standard.x, standard.c(0.5), standard.c(0), standard.c(bits)], attributes),
      ),
    );
    // 0.25 / 0.5 and 1.25 / 0.5 are half way: to the even neighbour.
    const x = [100, -100, 0.25, 1.25, 0.3, -0.9];
    const expected = [high, low, 0, 2, 1, Math.max(low, -2)].map((q) => (q + 0) * 0.5);
    expect(Array.from(await (await createRun(plain.model))(Float32Array.from(x), [1, 6]), (v) => v + 0)).toEqual(
      expected,
    );
    expect(model.opsets.has('onnx.brevitas')).toBe(false);
  });

  it.each([
    { op: 'Quant', bits: 1, signed: 1, expected: [0.5, 0.5, -0.5, 0.5, -0.5] },
    { op: 'IntQuant', bits: 1, signed: 1, expected: [0.5, 0.5, -0.5, 0.5, -0.5] },
    // 0.25 / 0.5 is half way: to 0.
    { op: 'Quant', bits: 1, signed: 0, expected: [0, 0, 0, 0.5, 0] },
    { op: 'IntQuant', bits: 2, signed: 0, expected: [0, 0, 0, 1.5, 0] },
  ])('$op of $bits bit, signed $signed', async ({ op, bits, signed, expected }) => {
    const s = new Source(['N', 5]);
    s.builder.model.opsets.set('qonnx.custom_op.general', 1);
    const attributes = { signed: int(signed), narrow: int(0), rounding_mode: string('ROUND') };
    const y = s.op(`qonnx.custom_op.general.${op}`, [s.x, s.c(0.5), s.c(0), s.c(bits)], attributes);
    const model = s.finish(y);
    const { model: latent } = convertOnnx(model);
    const found = await (await createRun(latent))(Float32Array.of(0, 0.25, -0.001, 3, -7), [1, 5]);
    expect(Array.from(found, (v) => v + 0)).toEqual(expected);
    const types = Array.from(latent.graph.nodes(), ({ type }) => type);
    expect(types.includes('bnn.Sign')).toBe(bits === 1);
  });

  it.each([
    // (floor(round(x / 0.5) / 4)) · 0.5
    { version: 'with bit widths', rest: [4, 2], expected: [0, 0.5, 1.5, -0.5] },
    // scale out 2 = 4 · 0.5; two bits: −2 … 1
    { version: 'with a scale of the output', rest: [4, 2, 0, 2], expected: [0, 2, 2, -2] },
  ])('Trunc $version', async ({ rest, expected }) => {
    const s = new Source(['N', 4]);
    s.builder.model.opsets.set('qonnx.custom_op.general', 1);
    const inputs = [s.x, s.c(0.5), s.c(0), ...rest.map((value) => s.c(value))];
    const model = s.finish(
      s.op('qonnx.custom_op.general.Trunc', inputs, { rounding_mode: string('FLOOR'), signed: int(1) }),
    );
    const { model: latent } = convertOnnx(model);
    const found = await (await createRun(latent))(Float32Array.of(1.5, 2, 7.5, -0.5), [1, 4]);
    expect(Array.from(found, (v) => v + 0)).toEqual(expected);
  });

  it('an unknown domain is refused by name', () => {
    const s = new Source(['N', 4]);
    s.builder.model.opsets.set('acme', 1);
    const model = s.finish(s.op('acme.Frobnicate', [s.x], {}, 'f'));
    let error: unknown;
    try {
      convertOnnx(model);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(BnnError);
    expect((error as BnnError).message).toMatch(/Frobnicate of domain "acme"/);
    expect((error as BnnError).at).toContain('"f"');
  });

  it('a packed model is refused', () => {
    const s = new Source(['N', 4]);
    const signs = s.op('Where', [s.op('GreaterOrEqual', [s.x, s.c(0)]), s.c(1), s.c(-1)]);
    const { lowered } = convertOnnx(s.finish(s.op('MatMul', [signs, s.c(s.signs([4, 4]))])));
    expect(() => convertOnnx(lowered.model)).toThrow(/packed form already: it has .*BinaryGemm/);
  });

  it('operators that onnxruntime knows stay', () => {
    const s = new Source(['N', 4]);
    const { model } = convertOnnx(s.finish(s.op('CumSum', [s.x, s.ints([1])])));
    expect(Array.from(model.graph.nodes(), ({ type }) => type)).toEqual(['CumSum']);
  });
});

describe('withZeroPolicy', () => {
  it.each([
    ['plus', [1, 1, -1, 1]],
    ['minus', [-1, -1, -1, 1]],
    ['zero', [0, 0, -1, 1]],
  ] as const)('%s', async (policy, expected) => {
    const s = new Source(['N', 4]);
    const signs = s.op('Where', [s.op('GreaterOrEqual', [s.x, s.c(0)]), s.c(1), s.c(-1)]);
    const { model } = convertOnnx(s.finish(signs));
    const variant = withZeroPolicy(model, policy);
    const found = await (await createRun(variant!))(Float32Array.of(0, -0, -2, 3), [1, 4]);
    expect(Array.from(found, (v) => v + 0)).toEqual(expected);
  });

  it('null without signs of activations', () => {
    const s = new Source(['N', 4]);
    expect(withZeroPolicy(s.finish(s.op('Relu', [s.x])), 'zero')).toBeNull();
  });
});

describe('levelsOfWeights', () => {
  const levels = (values: readonly number[], shape = [2, values.length / 2]) =>
    levelsOfWeights({ dtype: 'float32', shape, data: Float64Array.from(values) }, false);
  it.each<[string, readonly number[], string, number]>([
    ['±s per row', [0.5, -0.5, -2, 2], 'binary', 1],
    ['zeros', [1, 0, -1, 1], 'ternary', 2],
    ['four levels', [-3, -1, 1, 3, -3, -1, 1, 3, 3, 1, -1, -3, 1, 1, 3, 3], 'multi-bit', 2],
    ['floats', [0.1, 0.7, -0.33, 0.9], 'float', 32],
    ['±s with rounding', [0.5, -0.50000006, -2, 2.0000002], 'binary', 1],
    ['zeros and rounding', [1, 0, -1.0000001, 1], 'ternary', 2],
    ['all 0', [0, 0, 0, 0], 'float', 32],
    ['one per output', [0.1, 0.7], 'float', 32],
  ])('%s', (_, values, kind, bits) => {
    expect(levels(values)).toMatchObject({ kind, bits });
  });
  it('says when weights are almost binary', () => {
    expect(levels([1, -1, 0.999, 1]).what).toMatch(/almost binary: .* 0\.10 %/);
  });
});
