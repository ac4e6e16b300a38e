import { describe, expect, test } from 'vitest';
import { findStem, quantizeStem, stemModel } from '../../src/compiler/quantize-stem.ts';
import { float32, type Tensor } from '../../src/core/tensors/tensor.ts';
import { type Attributes, ints } from '../../src/graph/attribute.ts';
import type { Model } from '../../src/graph/model.ts';
import { verify } from '../../src/graph/verify.ts';
import { runStock } from '../operators/run-stock.ts';
import { SmallNet } from './small-net.ts';

interface StemCase {
  readonly kernel: readonly [number, number];
  readonly attributes?: Attributes;
  readonly channels?: number;
  readonly size?: readonly [number, number];
  readonly bias?: boolean;
  readonly relu?: boolean;
  readonly pool?: boolean;
}

const OUTPUTS = 16;
const PIXELS = { min: -2, max: 2.5 };

function build({ kernel, attributes, channels = 3, size = [32, 48], ...more }: StemCase): Model {
  const net = new SmallNet(3);
  const x = net.input([2, channels, ...size]);
  const w = net.random([OUTPUTS, channels, ...kernel], 0.3);
  const inputs = more.bias === false ? [x, w] : [x, w, net.random([OUTPUTS])];
  let y = net.builder.op('Conv', inputs, { strides: ints([2, 2]), ...attributes }, 'conv');
  if (more.relu === true) y = net.op('Relu', [y]);
  if (more.pool === true) {
    y = net.op('MaxPool', [y], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) });
  }
  return net.finish(y);
}

/** Pixels from end to end of their range. */
function pixels(model: Model): Record<string, Tensor<'float32'>> {
  const [input] = model.graph.inputs;
  const shape = input!.shape as number[];
  const { rng } = new SmallNet(5);
  const data = Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    () => PIXELS.min + (PIXELS.max - PIXELS.min) * rng.uniform(),
  );
  return { [input!.name]: float32(shape, data) };
}

/** Position of the channel of each element of y[2][OUTPUTS][…]. */
const channelOf = (i: number, length: number): number => Math.floor((i / length) * 2 * OUTPUTS) % OUTPUTS;

function rangesOf(y: Float32Array): { min: number; max: number }[] {
  const ranges = Array.from({ length: OUTPUTS }, () => ({ min: Infinity, max: -Infinity }));
  y.forEach((value, i) => {
    const range = ranges[channelOf(i, y.length)]!;
    range.min = Math.min(range.min, value);
    range.max = Math.max(range.max, value);
  });
  return ranges;
}

const same = ints([3, 3, 3, 3]);
const one = ints([1, 1, 1, 1]);

describe('a stem in 8-bit integers', () => {
  test.each<readonly [string, StemCase]>([
    ['7×7, Relu, MaxPool', { kernel: [7, 7], attributes: { pads: same }, relu: true, pool: true }],
    ['7×7, MaxPool', { kernel: [7, 7], attributes: { pads: same }, pool: true }],
    ['7×7, Relu', { kernel: [7, 7], attributes: { pads: same }, relu: true }],
    ['7×7', { kernel: [7, 7], attributes: { pads: same } }],
    ['7×7 without bias', { kernel: [7, 7], attributes: { pads: same }, bias: false }],
    ['3×3, padded on all sides', { kernel: [3, 3], attributes: { pads: one } }],
    ['3×3, padded at the end', { kernel: [3, 3], attributes: { pads: ints([0, 0, 1, 1]) } }],
    ['3×3, not padded', { kernel: [3, 3] }],
    ['5×5, padded more than its half', { kernel: [5, 5], attributes: { pads: same } }],
    ['4×2, padded unevenly', { kernel: [4, 2], attributes: { pads: ints([1, 0, 2, 1]) } }],
    ['2×2 of one channel', { kernel: [2, 2], channels: 1 }],
    ['1×1', { kernel: [1, 1], size: [6, 2] }],
  ])('%s: off by no more than its steps allow', async (_, form) => {
    const model = build(form);
    const feeds = pixels(model);
    const ranges = rangesOf(await runStock(stemModel(model, findStem(model, 0)), feeds));
    const int8 = quantizeStem(model, PIXELS, ranges, 0);
    verify(int8);
    const float = await runStock(model, feeds);
    const rounded = await runStock(int8, feeds);
    expect(rounded.length).toBe(float.length);

    const weights = findStem(model, 0).conv.requiredInput(1).constant! as Tensor<'float32'>;
    const taps = weights.data.length / OUTPUTS;
    const dataStep = (PIXELS.max - PIXELS.min) / 255;
    const pixelPower = (PIXELS.max ** 3 - PIXELS.min ** 3) / 3 / (PIXELS.max - PIXELS.min);
    // Of a channel: the error that no element exceeds, and the mean square if roundings are independent.
    const expected = ranges.map(({ min, max }, o) => {
      const own = weights.data.subarray(o * taps, (o + 1) * taps);
      const weightStep = Math.max(...own.map(Math.abs)) / 63;
      const step = (Math.max(max, 0) - Math.min(min, 0)) / 255;
      const sum = (f: (w: number) => number) => own.reduce((total, w) => total + f(w), 0);
      const most = (dataStep / 2) * sum(Math.abs) + (weightStep / 2) * taps * PIXELS.max + step + dataStep * weightStep;
      const square = (dataStep ** 2 * sum((w) => w * w) + weightStep ** 2 * taps * pixelPower + step ** 2) / 12;
      return { most, square };
    });
    let [square, expectedSquare] = [0, 0];
    const beyond = float.filter((y, i) => {
      const error = Math.abs(y - rounded[i]!);
      const { most, square: mean } = expected[channelOf(i, float.length)]!;
      square += error ** 2;
      expectedSquare += mean;
      return !(error <= most);
    });
    expect(beyond.length).toBe(0);
    // Padding, Relu and maxima carry less noise; a step twice as wide as need be would carry four times the power.
    const share = square / expectedSquare;
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(1.3);
  });

  test.each([0, 1e-40, 1e-30])('a channel that no picture excites beyond %d stays harmless', async (max) => {
    const model = build({ kernel: [3, 3], relu: true });
    const feeds = pixels(model);
    const ranges = rangesOf(await runStock(model, feeds));
    const rest = await runStock(quantizeStem(model, PIXELS, ranges, 0), feeds);
    const int8 = quantizeStem(model, PIXELS, [{ min: 0, max }, ...ranges.slice(1)], 0);
    for (const { name, constant } of int8.graph.constants()) {
      if (constant.dtype === 'float32') expect(constant.data.every(Number.isFinite), name).toBe(true);
    }
    const found = await runStock(int8, feeds);
    const isFirst = (_: number, i: number) => channelOf(i, found.length) === 0;
    expect(found.filter((y, i) => !isFirst(y, i))).toEqual(rest.filter((y, i) => !isFirst(y, i)));
    const largest = Math.max(...rest.filter(isFirst));
    expect(found.filter(isFirst).every((y) => y >= 0 && y <= largest + 0.5)).toBe(true);
  });

  test('two products of data and weights fit 16 bits', () => {
    const model = build({ kernel: [7, 7], attributes: { pads: same } });
    const ranges = Array.from({ length: OUTPUTS }, () => ({ min: -1, max: 1 }));
    const int8 = quantizeStem(model, PIXELS, ranges, 0);
    const weights = [...int8.graph.constants()].filter(({ dtype }) => dtype === 'int8');
    const largest = Math.max(...weights.flatMap(({ constant }) => Array.from(constant.data as Int8Array, Math.abs)));
    expect(largest).toBe(63);
    expect(2 * 255 * largest).toBeLessThan(2 ** 15);
  });

  test('the model stays as it was', () => {
    const model = build({ kernel: [3, 3], relu: true });
    const before = [...model.graph.nodes()].map(({ op }) => op);
    quantizeStem(model, PIXELS, Array(OUTPUTS).fill({ min: 0, max: 1 }), 0);
    expect([...model.graph.nodes()].map(({ op }) => op)).toEqual(before);
  });

  test.each<readonly [string, () => Model, number, RegExp]>([
    ['of stride 1', () => build({ kernel: [3, 3], attributes: { strides: ints([1, 1]) } }), 0, /conv, has strides 1,1/],
    ['on pictures of odd height', () => build({ kernel: [3, 3], size: [33, 32] }), 0, /pictures of 3×33×32, not 2,2/],
    [
      'that is too small',
      () => build({ kernel: [3, 3], attributes: { pads: one } }),
      1e6,
      /conv, has 0\.2 million multiply-adds, they pay from 1\.0 on/,
    ],
    [
      'with dilated kernels',
      () => build({ kernel: [3, 3], attributes: { dilations: ints([2, 2]) } }),
      0,
      /has strides 2,2 on pictures/,
    ],
    [
      'of pictures of any size',
      () => {
        const net = new SmallNet();
        const x = net.input(['N', 3, 'H', 'W']);
        return net.finish(net.conv(x, net.random([4, 3, 3, 3]), { strides: ints([2, 2]) }));
      },
      0,
      /size of the pictures is left open/,
    ],
    [
      'that is binary',
      () => {
        const net = new SmallNet();
        return net.finish(net.binaryConv(net.input([1, 3, 8, 8]), 3, 4));
      },
      0,
      /does not begin with a float convolution/,
    ],
  ])('a stem %s is refused', (_, make, leastMacs, message) => {
    expect(() => findStem(make(), leastMacs)).toThrow(
      expect.objectContaining({ code: 'E_UNSUPPORTED', message: expect.stringMatching(message) }),
    );
  });
});
