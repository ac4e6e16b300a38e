import { describe, expect, test } from 'vitest';
import type { ValueRange } from '../../src/compiler/int8-parts.ts';
import { prepareInt8, quantizeInt8 } from '../../src/compiler/quantize-int8.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';
import { float32, int64s } from '../../src/core/tensors/tensor.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { verify } from '../../src/graph/verify.ts';
import { runStock } from '../operators/run-stock.ts';
import { operators, randomInput, SmallNet } from './small-net.ts';

type Build = (net: SmallNet, x: Value) => Value;

const conv = (net: SmallNet, x: Value): Value => net.conv(x, net.random([8, 8, 3, 3], 0.2), {}, net.random([8]));

/** BatchNormalization y = factor · x + shift, mean 0 and variance 1 − ε. */
function affine(net: SmallNet, x: Value, factor: number, shift: number): Value {
  const vector = (value: number) => net.c(float32([8], new Float32Array(8).fill(value)));
  return net.op('BatchNormalization', [x, vector(factor), vector(shift), vector(0), vector(1 - 1e-5)]);
}

const pool = (net: SmallNet, x: Value): Value => net.op('MaxPool', [x], { kernel_shape: ints([2, 2]) });

describe('preparing turns', () => {
  test.each<readonly [string, Build, readonly string[]]>([
    [
      'BatchNormalization(MaxPool(Relu(Conv))) without shift',
      (net, x) => affine(net, pool(net, net.op('Relu', [conv(net, x)])), 2, 0),
      ['Conv', 'Relu', 'MaxPool'],
    ],
    [
      'BatchNormalization(Relu(Conv)) with a shift',
      (net, x) => affine(net, net.op('Relu', [conv(net, x)]), 2, 0.5),
      ['Conv', 'Relu', 'Conv'],
    ],
    [
      'BatchNormalization(Relu(Conv)) with a negative factor',
      (net, x) => affine(net, net.op('Relu', [conv(net, x)]), -2, 0),
      ['Conv', 'Relu', 'Conv'],
    ],
    [
      'BatchNormalization(Relu(Conv)), Relu read twice',
      (net, x) => {
        const y = net.op('Relu', [conv(net, x)]);
        return net.op('Add', [affine(net, y, 2, 0), y]);
      },
      ['Conv', 'Relu', 'Conv', 'Add'],
    ],
    ['BatchNormalization(Conv)', (net, x) => net.batchNorm(conv(net, x), 8), ['Conv']],
    [
      'Add of a constant per channel',
      (net, x) => net.op('Add', [net.op('Relu', [conv(net, x)]), net.random([8, 1, 1])]),
      ['Conv', 'Relu', 'Conv'],
    ],
    ['Add of a constant image', (net, x) => net.op('Add', [conv(net, x), net.random([6, 6])]), ['Conv', 'Add']],
    ['Add of zero', (net, x) => net.op('Relu', [net.op('Add', [conv(net, x), net.c(0)])]), ['Conv', 'Relu']],
    [
      'PRelu with one slope',
      (net, x) => net.op('PRelu', [conv(net, x), net.c(float32([8, 1, 1], new Float32Array(8).fill(0.25)))]),
      ['Conv', 'LeakyRelu'],
    ],
    ['PRelu with several', (net, x) => net.op('PRelu', [conv(net, x), net.random([8, 1, 1])]), ['Conv', 'PRelu']],
  ])('%s', async (_, build, expected) => {
    const net = new SmallNet();
    const model = net.finish(build(net, net.input(['N', 8, 6, 6])));
    const prepared = prepareInt8(model);
    verify(prepared);
    expect(operators(prepared)).toEqual(expected);
    const feeds = randomInput(model, 2);
    expect(relativeError(await runStock(prepared, feeds), await runStock(model, feeds))).toBeLessThan(1e-6);
  });
});

/** Conv of two 1×1 kernels over one channel, data from −1 to 2, results from −3 to 3. */
function twoKernels(then: Build = (_, y) => y, bias: readonly number[] = [0.5, -0.2]): Model {
  const net = new SmallNet();
  const x = net.input([1, 1, 2, 2]);
  const inputs = [x, net.c(float32([2, 1, 1, 1], [2, -0.5])), net.c(float32([2], bias))];
  return net.finish(then(net, net.builder.op('Conv', inputs, {}, 'conv')));
}

const INPUT: ValueRange = { min: -1, max: 2 };

function rangesOf(model: Model, range: ValueRange): Map<string, ValueRange> {
  const ranges = new Map([...model.graph.nodes()].map(({ output }) => [output.name, range]));
  return ranges.set('input', INPUT);
}

const numbers = (model: Model, name: string): readonly number[] =>
  Array.from(model.graph.values.get(name)!.constant!.data as Float32Array);

describe('quantizing', () => {
  test('takes steps, zero points, weights and bias as onnxruntime does', () => {
    const model = twoKernels();
    const int8 = quantizeInt8(model, rangesOf(model, { min: -3.2, max: 3 }));
    verify(int8);
    const pair = ['QuantizeLinear', 'DequantizeLinear'];
    expect(operators(int8).sort()).toEqual(['Conv', 'DequantizeLinear', 'DequantizeLinear', ...pair, ...pair].sort());
    const [step] = numbers(int8, 'input.scale');
    expect(step).toBeCloseTo(3 / 255, 9);
    expect(numbers(int8, 'input.zero')).toEqual([85]);
    // 3.2 / (6.2 / 255).
    expect(numbers(int8, 'conv.zero')).toEqual([132]);
    const [weights, bias] = [...int8.graph.constants()].filter(({ name }) => /\.int(8|32)$/.test(name));
    expect(Array.from(weights!.constant.data as Int8Array)).toEqual([127, -127]);
    expect(numbers(int8, `${weights!.name}.scale`)).toEqual([Math.fround(2 / 127), Math.fround(0.5 / 127)]);
    // 0.5 / (step · 2 / 127) and −0.2 / (step · 0.5 / 127).
    expect(Array.from(bias!.constant.data as Int32Array)).toEqual([2699, -4318]);
    expect(int8.graph.outputs.map(({ name }) => name)).toEqual(model.graph.outputs.map(({ name }) => name));
    expect(operators(model)).toEqual(['Conv']);
  });

  test('a channel of tiny weights and a large bias gets larger steps instead of a bias beyond int32', async () => {
    const model = twoKernels();
    const constant = [...model.graph.constants()].find(({ constant }) => constant.shape.length === 4)!;
    model.graph.setConstant(constant, float32([2, 1, 1, 1], [1e-9, 1]));
    const int8 = quantizeInt8(model, rangesOf(model, { min: -3, max: 3 }));
    const feeds = randomInput(model, 1);
    const [expected, actual] = [await runStock(model, feeds), await runStock(int8, feeds)];
    for (const [i, y] of expected.slice(0, 4).entries()) expect(actual[i]).toBeCloseTo(y, 1);
  });

  test.each<readonly [string, Build]>([
    ['Relu', (net, y) => net.op('Relu', [y])],
    ['Clip', (net, y) => net.op('Clip', [y, net.c(0), net.c(3)])],
  ])('%s goes into the range', (op, then) => {
    const model = twoKernels(then);
    const ranges = rangesOf(model, { min: -3, max: 3 }).set(model.graph.outputs[0]!.name, { min: 0, max: 3 });
    const int8 = quantizeInt8(model, ranges);
    verify(int8);
    expect(operators(int8)).not.toContain(op);
    const last = [...int8.graph.nodes()].findLast((node) => node.is('QuantizeLinear'))!;
    expect(Array.from(last.requiredInput(2).constant!.data as Uint8Array)).toEqual([0]);
  });

  test.each<readonly [string, Build, ValueRange]>([
    ['above 0', (net, y) => net.op('Clip', [y, net.c(1), net.c(6)]), { min: 1, max: 6 }],
    ['below 0', (net, y) => net.op('Clip', [y, null, net.c(-1)]), { min: -6, max: -1 }],
  ])('Clip to numbers %s stays', async (_, then, range) => {
    const model = twoKernels(then);
    const ranges = rangesOf(model, { min: -6, max: 6 }).set(model.graph.outputs[0]!.name, range);
    const int8 = quantizeInt8(model, ranges);
    verify(int8);
    const feeds = { input: float32([1, 1, 2, 2], [-1, -0.3, 0.4, 2]) };
    const [expected, actual] = [await runStock(model, feeds), await runStock(int8, feeds)];
    for (const [i, y] of expected.entries()) expect(Math.abs(actual[i]! - y)).toBeLessThan(0.1);
  });

  test('Relu stays where the sum is read elsewhere too', () => {
    const model = twoKernels((net, y) => net.op('Add', [net.op('Relu', [y]), y]));
    expect(operators(quantizeInt8(model, rangesOf(model, { min: -3, max: 3 })))).toContain('Relu');
  });

  test.each([
    ['keeps the steps of its data', 0, true],
    ['has its own steps when it adds what they do not reach', 9, false],
  ])('Pad %s', (_, value, isShared) => {
    const model = twoKernels((net, y) => {
      const pads = net.c(int64s([0, 0, 1, 1, 0, 0, 0, 0]));
      const padded = net.op('Pad', [y, pads, net.c(value)]);
      return net.op('GlobalAveragePool', [padded]);
    });
    const ranges = rangesOf(model, { min: -3, max: 3 });
    const pad = [...model.graph.nodes()].find((node) => node.is('Pad'))!;
    ranges.set(pad.output.name, { min: -3, max: Math.max(3, value) });
    const int8 = quantizeInt8(model, ranges);
    expect(numbers(int8, `${pad.output.name}.scale`)[0] === numbers(int8, 'conv.scale')[0]).toBe(isShared);
  });

  test('a dense layer has one scale per column', () => {
    const net = new SmallNet();
    const weights = net.c(float32([2, 3], [1, 2, -4, 0.5, -1, 2]));
    const model = net.finish(net.op('MatMul', [net.input([1, 2]), weights]));
    const int8 = quantizeInt8(model, rangesOf(model, { min: -3, max: 3 }));
    const node = [...int8.graph.nodes()].find(({ op }) => op === 'MatMul')!.requiredInput(1).producer!;
    expect(node.attribute('axis', 'int')).toBe(1);
    expect(Array.from(node.requiredInput(0).constant!.data as Int8Array)).toEqual([127, 127, -127, 64, -64, 64]);
  });

  test.each<readonly [string, () => Model, ValueRange, string, RegExp]>([
    [
      'without weights',
      () => {
        const net = new SmallNet();
        return net.finish(net.op('Relu', [net.input([1, 4])]));
      },
      { min: 0, max: 1 },
      'E_UNSUPPORTED',
      /no convolution or dense layer/,
    ],
    [
      'of an old operator set',
      () => {
        const model = twoKernels();
        model.opsets.set('', 12);
        return model;
      },
      { min: 0, max: 1 },
      'E_UNSUPPORTED',
      /operator set 12.*13/,
    ],
    ['that gives NaN', twoKernels, { min: Number.NaN, max: Number.NaN }, 'E_NUMERIC', /conv ranges from NaN to NaN/],
  ])('a model %s is refused', (_, build, range, code, message) => {
    const model = build();
    expect(() => quantizeInt8(model, rangesOf(model, range))).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test('grouped convolutions have one scale per output', () => {
    const net = new SmallNet();
    const y = net.conv(net.input([1, 8, 4, 4]), net.random([8, 2, 3, 3]), { group: int(4) });
    const model = net.finish(y);
    const int8 = quantizeInt8(model, rangesOf(model, { min: -9, max: 9 }));
    const node = [...int8.graph.nodes()].find(({ op }) => op === 'Conv')!.requiredInput(1).producer!;
    expect(node.requiredInput(1).shape).toEqual([8]);
    const steps = node.requiredInput(0).constant!.data as Int8Array;
    for (let o = 0; o < 8; o++) {
      const largest = Math.max(...Array.from(steps.subarray(o * 18, (o + 1) * 18), Math.abs));
      expect(largest).toBe(127);
    }
  });
});
