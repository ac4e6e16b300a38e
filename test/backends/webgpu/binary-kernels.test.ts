import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { createDsq } from '../../../src/estimators/dsq.ts';
import { createEde } from '../../../src/estimators/ede.ts';
import type { Estimator } from '../../../src/estimators/estimator.ts';
import { createReste } from '../../../src/estimators/reste.ts';
import { createSte } from '../../../src/estimators/ste.ts';
import {
  binaryConv,
  binaryConvFilterGradient,
  binaryConvInputGradient,
} from '../../../src/training/binary-conv-kernels.ts';
import type { Window } from '../../../src/training/steps/window.ts';
import { kernel, normal, runOn, type Values, worstOf } from '../compare-kernels.ts';
import { describeWebgpu } from './device.ts';

const signs = ({ shape, values }: Values): Values => ({ shape, values: values.map((v) => (v >= 0 ? 1 : -1)) });
const window: Window = {
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pad: 'same',
  pads: [
    [1, 1],
    [1, 1],
  ],
  before: null,
};

const UNEVEN = [
  [0, 0],
  [2, 1],
  [0, 3],
  [0, 0],
];

describeWebgpu('webgpu convolutions of signs equal Conv2D of a tensor of signs on the CPU', () => {
  it.each([
    { name: 'half a word, uneven padding', k: 3, stride: 1, pad: UNEVEN, c: 16, o: 5 },
    { name: 'one bit more than a word, stride 2', k: 3, stride: 2, pad: 'same', c: 33, o: 3 },
    { name: '1×1 over two words', k: 1, stride: 2, pad: 'valid', c: 64, o: 2 },
  ])('$name', async ({ k, stride, pad, c, o }) => {
    const [x, weights] = [normal([2, 7, 6, c]), normal([k, k, c, o], 2)];
    x.values.set([0, -0]);
    const attributes = { strides: [stride, stride], pad, dataFormat: 'NHWC', dilations: [1, 1] };
    // The reference knows neither packed words nor kernels of ours.
    const want = (filter: Values) => runOn('cpu', { x: signs(x), filter }, kernel('Conv2D', attributes));
    const got = (filter: Values, filterIsSigns: boolean) =>
      runOn('webgpu', { x, filter }, ({ x, filter }) => binaryConv(x!, filter!, { attributes, window, filterIsSigns }));
    const exact = await want(signs(weights));
    expect(Array.from((await got(signs(weights), true))[0]!.values)).toEqual(Array.from(exact[0]!.values));
  });

  it('with a filter of any numbers, and the gradient of the filter', async () => {
    const [x, filter] = [normal([2, 7, 6, 8]), normal([3, 3, 8, 5], 2)];
    const attributes = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
    const want = await runOn('cpu', { x: signs(x), filter }, kernel('Conv2D', attributes));
    const got = await runOn('webgpu', { x, filter }, ({ x, filter }) =>
      binaryConv(x!, filter!, { attributes, window, filterIsSigns: false }),
    );
    expect(worstOf(got, want)).toBeLessThan(1e-6);
    const dy = normal(want[0]!.shape, 3);
    const filterShape = filter.shape;
    const gradient = await runOn(
      'cpu',
      { x: signs(x), dy },
      kernel('Conv2DBackpropFilter', { ...attributes, filterShape }),
    );
    const ours = await runOn('webgpu', { x, dy }, ({ x, dy }) =>
      binaryConvFilterGradient(x!, dy!, { ...attributes, filterShape }, window),
    );
    expect(worstOf(ours, gradient)).toBeLessThan(1e-6);
  });
});

describeWebgpu('webgpu gradients of convolutions of signs equal the composition on the CPU', () => {
  const SAME = { strides: [1, 1], pad: 'same' };
  const STRIDED = { strides: [2, 2], pad: 'same' };

  it.each([
    ['ReSTE', createReste(2), SAME, 8, false],
    ['ReSTE with o = 1, added to a sum', createReste(1), SAME, 8, true],
    ['STE, strided, added to a sum', createSte(1), STRIDED, 19, true],
    ['identity, 1×1 in size', createSte(Infinity), SAME, 3, false],
    ['DSQ by its table, its sum cut into parts', createDsq(0.2), SAME, 64, true],
  ] as const)('%s', async (_, estimator, given, channels, hasSum) => {
    const attributes = { ...given, dataFormat: 'NHWC', dilations: [1, 1] };
    const [x, filter] = [normal([2, 7, 6, channels]), normal([3, 3, channels, 70], 2)];
    const [y] = await runOn('cpu', { x, filter }, kernel('Conv2D', attributes));
    const inputs = { x, filter, dy: normal(y!.shape, 3), sum: normal(x.shape, 4) };
    const body = ({ x, filter, dy, sum }: Record<string, tf.Tensor>) => {
      const options = { estimator, attributes, window, sum: hasSum ? sum : undefined };
      return binaryConvInputGradient(x!, filter!, dy!, options);
    };
    const want = await runOn('cpu', inputs, body);
    expect(worstOf(await runOn('webgpu', inputs, body), want)).toBeLessThan(3e-6);
  });
});

describeWebgpu('webgpu gradients of estimators from tables equal their formulas', () => {
  const slopes = async (estimator: Estimator, values: Float32Array): Promise<Float32Array> => {
    const shape = [values.length];
    const inputs = { x: { shape, values }, dy: { shape, values: new Float32Array(values.length).fill(1) } };
    const [dx] = await runOn('webgpu', inputs, kernel('BnnSignGradTable', estimator.attributes!));
    return dx!.values;
  };

  it('on a grid, for more tables than are kept on the device', async () => {
    const grid = Float32Array.from({ length: 2001 }, (_, i) => (i - 1000) / 300);
    const estimators = [createDsq(0.2), createEde(1), createEde(2), createEde(3), createEde(5), createDsq(0.2)];
    for (const estimator of estimators) {
      const scale = estimator.factor(0);
      for (const [i, s] of (await slopes(estimator, grid)).entries()) {
        expect(Math.abs(s - estimator.factor(grid[i]!)), `s(${grid[i]})`).toBeLessThan(3e-6 * scale);
      }
    }
  });

  it('is 0 beyond the limit, for infinities too', async () => {
    const values = await slopes(createDsq(0.2), Float32Array.of(1, 1.0000001, -7, Infinity, -Infinity));
    expect(values[0]).toBeGreaterThan(0);
    expect(Array.from(values.slice(1))).toEqual([0, 0, 0, 0]);
    expect(tf.getBackend()).toBe('webgpu');
  });
});
