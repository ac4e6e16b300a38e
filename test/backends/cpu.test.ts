import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { registerCpuBackend } from '../../src/backends/cpu/register.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';
import { runTfjsKernel as runKernel } from '../../src/kernels/tfjs-kernel.ts';

const CASES = [
  { x: [2, 5, 6, 3], filter: [3, 3, 3, 4], strides: [1, 1], pad: 'same' },
  { x: [1, 8, 7, 2], filter: [3, 2, 2, 5], strides: [2, 2], pad: 'valid' },
  { x: [3, 6, 6, 1], filter: [1, 1, 1, 2], strides: [2, 1], pad: 'same' },
  {
    x: [1, 6, 7, 3],
    filter: [3, 3, 3, 2],
    strides: [2, 2],
    pad: [
      [0, 0],
      [1, 1],
      [2, 0],
      [0, 0],
    ],
  },
];

it('the gradients of convolutions equal those of the stock cpu backend', async () => {
  await tf.setBackend('cpu');
  const rng = new Rng(3);
  const random = (shape: number[]) =>
    tf.tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
      shape,
    );
  const inputs = CASES.map((c) => {
    const [x, filter] = [random(c.x), random(c.filter)];
    const attributes = { strides: c.strides, pad: c.pad, dataFormat: 'NHWC', dilations: [1, 1] };
    const dy = random(runKernel('Conv2D', { x, filter }, attributes).shape);
    return { x, filter, dy, attributes: { ...attributes, inputShape: c.x, filterShape: c.filter } };
  });
  const gradients = () =>
    inputs.map(({ x, filter, dy, attributes }) => [
      runKernel('Conv2DBackpropInput', { dy, filter }, attributes).dataSync(),
      runKernel('Conv2DBackpropFilter', { x, dy }, attributes).dataSync(),
    ]);
  const stock = gradients();
  registerCpuBackend();
  for (const [i, ours] of gradients().entries()) {
    for (const [j, gradient] of ours.entries()) expect(relativeError(gradient, stock[i]![j]!)).toBeLessThan(1e-6);
  }
});
