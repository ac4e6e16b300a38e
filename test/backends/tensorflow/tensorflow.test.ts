import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { middleDivisor } from '../../../src/backends/tensorflow/accurate-sums.ts';
import { findTensorflow } from '../../../src/backends/tensorflow/find-tensorflow-io.ts';
import { loadTensorflow } from '../../../src/backends/tensorflow/load.ts';
import { relativeError } from '../../../src/core/numbers/tolerance.ts';
import { kernel, normal, runOn, worstOf } from '../compare-kernels.ts';
import { trainTiny } from '../train-tiny.ts';

const loaded = await loadTensorflow(2);

describe.skipIf(!loaded.ok)(`tensorflow${loaded.ok ? '' : ` (skipped: ${loaded.reason})`}`, { timeout: 60_000 }, () => {
  it.each([
    { k: 3, stride: 1, pad: 'same', c: 3, o: 8 },
    { k: 3, stride: 2, pad: 'valid', c: 8, o: 5 },
    { k: 1, stride: 2, pad: 'valid', c: 8, o: 16 },
  ])('convolution and its gradients: $k×$k stride $stride $pad', async ({ k, stride, pad, c, o }) => {
    const attrs = { strides: [stride, stride], pad, dataFormat: 'NHWC', dilations: [1, 1] };
    const [x, filter] = [normal([2, 9, 9, c]), normal([k, k, c, o], 2)];
    const forward = kernel('Conv2D', attrs);
    const want = await runOn('cpu', { x, filter }, forward);
    expect(worstOf(await runOn('tensorflow', { x, filter }, forward), want)).toBeLessThan(1e-6);
    const dy = normal(want[0]!.shape, 3);
    for (const [inputs, body] of [
      [{ dy, filter }, kernel('Conv2DBackpropInput', { ...attrs, inputShape: x.shape })],
      [{ x, dy }, kernel('Conv2DBackpropFilter', { ...attrs, filterShape: filter.shape })],
    ] as const) {
      const reference = await runOn('cpu', inputs, body);
      expect(worstOf(await runOn('tensorflow', inputs, body), reference)).toBeLessThan(1e-6);
    }
  });

  it('sums over many rows are accurate', async () => {
    const x = normal([64, 32, 32, 4]);
    const want = [0, 0, 0, 0];
    for (const [i, value] of x.values.entries()) want[i % 4]! += value * value;
    for (const keepDims of [false, true]) {
      const [sum, mean] = await runOn('tensorflow', { x }, ({ x }) => [
        tf.sum(tf.square(x!), [0, 1, 2], keepDims),
        tf.mean(tf.square(x!), [0, 1, 2], keepDims),
      ]);
      expect(sum!.shape).toEqual(keepDims ? [1, 1, 1, 4] : [4]);
      expect(relativeError(sum!.values, want)).toBeLessThan(5e-7);
      expect(
        relativeError(
          mean!.values,
          want.map((value) => value / 65536),
        ),
      ).toBeLessThan(5e-7);
    }
  });

  it('training takes the same steps as on the CPU backend', async () => {
    const want = await trainTiny('cpu');
    const got = await trainTiny('tensorflow');
    expect(relativeError(got.losses, want.losses)).toBeLessThan(1e-5);
    expect(relativeError(got.gradient, want.gradient)).toBeLessThan(1e-4);
  });
});

describe('finding TensorFlow', () => {
  it('names the interpreter that is not there', async () => {
    await expect(findTensorflow({ python: '/nowhere/python' })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: /no Python interpreter "\/nowhere\/python"/,
      hint: /pip install tensorflow/,
    });
  });

  it('names the library that a libtensorflow folder lacks', async () => {
    await expect(findTensorflow({ libtensorflow: '/nowhere' })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: /libtensorflow/,
    });
  });
});

it.each([
  [131072, 256],
  [1, 1],
  [13, 1],
  [1200, 30],
])('the divisor of %i nearest its root is %i', (n, divisor) => {
  expect(middleDivisor(n)).toBe(divisor);
});
