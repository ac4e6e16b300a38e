import { describe, expect, it } from 'vitest';
import { compare, describeNative, random, randomSigns, run, setThreads } from './harness.ts';

/** batch, height, width, in, out, kernel, stride, dilation, pad. */
type Case = readonly [
  batch: number,
  height: number,
  width: number,
  channels: number,
  outChannels: number,
  kernel: number,
  stride: number,
  dilation: number,
  pad: 'same' | 'valid' | number | readonly (readonly [number, number])[],
];

const CASES: readonly Case[] = [
  [1, 5, 5, 1, 1, 3, 1, 1, 'same'],
  [2, 8, 8, 16, 16, 3, 1, 1, 'same'],
  [3, 9, 7, 3, 17, 3, 1, 1, 1],
  [2, 8, 8, 5, 33, 3, 2, 1, 'same'],
  [5, 7, 7, 8, 9, 3, 2, 1, 1],
  [1, 12, 12, 7, 31, 5, 3, 1, 'valid'],
  [2, 9, 9, 16, 32, 1, 1, 1, 'valid'],
  [2, 9, 9, 6, 10, 1, 2, 1, 'valid'],
  [1, 15, 15, 3, 20, 7, 2, 1, 3],
  [2, 6, 40, 4, 18, 3, 1, 1, 'same'],
  [
    2,
    7,
    8,
    4,
    6,
    3,
    2,
    1,
    [
      [0, 0],
      [2, 0],
      [1, 3],
      [0, 0],
    ],
  ],
];

describeNative('Conv2D and its gradients against tfjs-backend-cpu', () => {
  for (const threads of [1, 2, 3]) {
    describe(`${threads} threads`, () => {
      it.each(CASES)('%j %j×%j, %j→%j, kernel %j, stride %j', async (...c) => {
        const [batch, height, width, channels, outChannels, kernel, strides, dilations, pad] = c;
        setThreads(threads);
        const x = random([batch, height, width, channels]);
        const filter = random([kernel, kernel, channels, outChannels], 2);
        const attrs = { strides, pad, dilations, dataFormat: 'NHWC' };
        expect(await compare('Conv2D', { x, filter }, attrs)).toBeLessThan(2e-5);
        const [y] = await run('cpu', 'Conv2D', { x, filter }, attrs);
        const dy = random(y?.shape ?? [], 3);
        const inputGrad = { ...attrs, inputShape: x.shape };
        expect(await compare('Conv2DBackpropInput', { dy, filter }, inputGrad)).toBeLessThan(2e-5);
        const filterGrad = { ...attrs, filterShape: filter.shape };
        expect(await compare('Conv2DBackpropFilter', { x, dy }, filterGrad)).toBeLessThan(2e-5);
      });
    });
  }

  it('does dilation forward as tfjs-backend-cpu does', async () => {
    const attrs = { strides: 1, pad: 'same', dilations: [2, 3], dataFormat: 'NHWC' };
    const inputs = { x: random([2, 11, 13, 5]), filter: random([3, 3, 5, 7], 2) };
    expect(await compare('Conv2D', inputs, attrs)).toBeLessThan(2e-5);
  });

  it('gives dilated gradients that are the adjoint of the forward convolution: ⟨y(x), dy⟩ = ⟨x, dx(dy)⟩ = ⟨w, dw⟩', async () => {
    const attrs = { strides: 2, pad: 2, dilations: 2, dataFormat: 'NHWC' };
    const x = random([2, 12, 13, 5]);
    const filter = random([3, 3, 5, 18], 2);
    const [y] = await run('native', 'Conv2D', { x, filter }, attrs);
    const dy = random(y?.shape ?? [], 3);
    const [dx] = await run('native', 'Conv2DBackpropInput', { dy, filter }, { ...attrs, inputShape: x.shape });
    const [dw] = await run('native', 'Conv2DBackpropFilter', { x, dy }, { ...attrs, filterShape: filter.shape });
    const dot = (a: ArrayLike<number> = [], b: ArrayLike<number> = []) =>
      Array.from(a).reduce((sum, value, i) => sum + value * (b[i] ?? Number.NaN), 0);
    const forward = dot(y?.values, dy.values);
    expect(dot(x.values, dx?.values)).toBeCloseTo(forward, 3);
    expect(dot(filter.values, dw?.values)).toBeCloseTo(forward, 3);
  });

  it('is exact for ±1 operands', async () => {
    const x = randomSigns([2, 9, 9, 37]);
    const filter = randomSigns([3, 3, 37, 21], 2);
    const attrs = { strides: 1, pad: 1, dilations: 1, dataFormat: 'NHWC' };
    expect(await compare('Conv2D', { x, filter }, attrs)).toBe(0);
  });

  it('leaves NCHW to tfjs-backend-cpu', async () => {
    const attrs = { strides: 1, pad: 'same', dilations: 1, dataFormat: 'NCHW' };
    expect(await compare('Conv2D', { x: random([1, 3, 5, 5]), filter: random([3, 3, 3, 2], 2) }, attrs)).toBe(0);
  });

  it('passes NaN to every output that reads it, and to no other', async () => {
    const x = random([1, 6, 6, 2]);
    x.values[0] = Number.NaN;
    const attrs = { strides: 1, pad: 1, dilations: 1, dataFormat: 'NHWC' };
    const [y] = await run('native', 'Conv2D', { x, filter: random([3, 3, 2, 3], 2) }, attrs);
    expect(y?.values.filter(Number.isNaN)).toHaveLength(4 * 3);
  });

  it('gives the same bits every time, and one thread agrees with two to rounding', async () => {
    const x = random([8, 16, 16, 16]);
    const dy = random([8, 16, 16, 16], 2);
    const attrs = { strides: 1, pad: 1, dilations: 1, dataFormat: 'NHWC', filterShape: [3, 3, 16, 16] };
    setThreads(2);
    const [first] = await run('native', 'Conv2DBackpropFilter', { x, dy }, attrs);
    const [again] = await run('native', 'Conv2DBackpropFilter', { x, dy }, attrs);
    setThreads(1);
    const [single] = await run('native', 'Conv2DBackpropFilter', { x, dy }, attrs);
    expect(again?.values).toEqual(first?.values);
    for (const [i, value] of (single?.values ?? []).entries()) expect(first?.values[i]).toBeCloseTo(value, 3);
  });
});
