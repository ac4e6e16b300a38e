import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { createReste } from '../../../src/estimators/reste.ts';
import { createSte } from '../../../src/estimators/ste.ts';
import {
  batchNormGradient,
  batchNormInfer,
  batchNormTrain,
  meanMagnitude,
  meanMagnitudeGradient,
  sign,
  signGradient,
} from '../../../src/training/kernels.ts';
import { adam, sgdMomentum } from '../../../src/training/optimizer-steps.ts';
import { kernel, normal, runOn, type Values, worstOf } from '../compare-kernels.ts';
import { describeWebgpu } from './device.ts';

/** On the CPU backend there are no kernels named Bnn…, so there the composition of plain operations runs, which is the reference. */
async function difference(
  inputs: Record<string, Values>,
  body: (tensors: Record<string, tf.Tensor>) => tf.Tensor | tf.Tensor[],
): Promise<number> {
  const want = await runOn('cpu', inputs, body);
  return worstOf(await runOn('webgpu', inputs, body), want);
}

const CASES = [
  { name: '3×3 same', k: 3, stride: 1, pad: 'same', c: 3, o: 16 },
  { name: '3×3 stride 2 same', k: 3, stride: 2, pad: 'same', c: 17, o: 33 },
  { name: '1×1 stride 2', k: 1, stride: 2, pad: 'valid', c: 8, o: 5 },
  {
    name: '3×3 uneven padding',
    k: 3,
    stride: 1,
    pad: [
      [0, 0],
      [2, 1],
      [0, 3],
      [0, 0],
    ],
    c: 4,
    o: 70,
  },
  {
    name: '3×3 stride 2 padded on both sides',
    k: 3,
    stride: 2,
    pad: [
      [0, 0],
      [1, 1],
      [1, 1],
      [0, 0],
    ],
    c: 70,
    o: 4,
  },
] as const;

describeWebgpu('webgpu convolutions equal the CPU reference', () => {
  it.each(CASES)('$name, $c to $o channels', async ({ k, stride, pad, c, o }) => {
    const [x, filter] = [normal([2, 7, 6, c]), normal([k, k, c, o], 2)];
    const attrs = { strides: [stride, stride], pad, dataFormat: 'NHWC', dilations: [1, 1] };
    expect(await difference({ x, filter }, kernel('Conv2D', attrs))).toBeLessThan(1e-6);
    const [y] = await runOn('cpu', { x, filter }, kernel('Conv2D', attrs));
    const dy = normal(y!.shape, 3);
    const { shape: inputShape } = x;
    expect(await difference({ dy, filter }, kernel('Conv2DBackpropInput', { ...attrs, inputShape }))).toBeLessThan(
      1e-6,
    );
    const { shape: filterShape } = filter;
    expect(await difference({ x, dy }, kernel('Conv2DBackpropFilter', { ...attrs, filterShape }))).toBeLessThan(1e-6);
  });

  it('the weight gradient is exact where its sum is cut into parts', async () => {
    const [x, dy] = [normal([4, 24, 24, 3]), normal([4, 24, 24, 6], 2)];
    const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], filterShape: [3, 3, 3, 6] };
    expect(await difference({ x, dy }, kernel('Conv2DBackpropFilter', attrs))).toBeLessThan(2e-6);
  });

  it('sums of signs are integers, exactly', async () => {
    const signs = (values: Values) => ({ ...values, values: values.values.map((v) => (v >= 0 ? 1 : -1)) });
    const inputs = { x: signs(normal([2, 9, 9, 40])), filter: signs(normal([3, 3, 40, 24], 2)) };
    const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
    expect(await difference(inputs, kernel('Conv2D', attrs))).toBe(0);
  });
});

describeWebgpu('webgpu batch normalization equals the composition on the CPU', () => {
  const attributes = { epsilon: 1e-5, relu: true };
  const cases = [
    { shape: [2, 5, 5, 16], scaled: true, relu: true },
    { shape: [3, 8, 8, 70], scaled: false, relu: true },
    { shape: [4, 12, 12, 5], scaled: true, relu: false },
    { shape: [33, 10], scaled: false, relu: false },
    { shape: [2, 40, 40, 3], scaled: true, relu: true },
  ];

  it.each(cases)('$shape, scale $scaled, relu $relu', async ({ shape, scaled, relu }) => {
    const channels = shape.at(-1)!;
    const offset = normal(shape);
    const inputs: Record<string, Values> = {
      x: { shape, values: offset.values.map((v, i) => 3 * v + (i % channels)) },
      dy: normal(shape, 2),
      gamma: normal([channels], 3),
      beta: normal([channels], 4),
      ...(scaled ? { scale: { shape: [], values: Float32Array.of(0.37) } } : {}),
    };
    const settings = { ...attributes, relu };
    const body = ({ x, dy, gamma, beta, scale }: Record<string, tf.Tensor>) => {
      const norm = { x: x!, gamma: gamma!, scale: scale ?? null };
      const before = { mean: beta!, variance: gamma!, keep: 0.9 };
      const { y, mean, variance, running } = batchNormTrain(norm, beta!, settings, before);
      const { dx, dgamma, dbeta } = batchNormGradient(norm, { mean, variance }, dy!, settings);
      const inferred = batchNormInfer(norm, beta!, { mean, variance }, settings);
      const added = batchNormTrain({ ...norm, residual: dy! }, beta!, settings, before);
      const inferredAdded = batchNormInfer({ ...norm, residual: dy! }, beta!, { mean, variance }, settings);
      tf.dispose([added.mean, added.variance, added.running.mean, added.running.variance]);
      return [y, mean, variance, running.mean, running.variance, dx, dgamma, dbeta, inferred, added.y, inferredAdded];
    };
    expect(await difference(inputs, body)).toBeLessThan(5e-6);
  });

  it('gradient of the scale', async () => {
    // With a large epsilon, so that the result is not a small difference of large numbers.
    const inputs = {
      x: normal([4, 20, 20, 6]),
      dy: normal([4, 20, 20, 6], 2),
      gamma: normal([6], 3),
      beta: normal([6], 4),
      scale: { shape: [], values: Float32Array.of(0.5) },
    };
    const settings = { epsilon: 1, relu: true };
    const body = ({ x, dy, gamma, beta, scale }: Record<string, tf.Tensor>) => {
      const norm = { x: x!, gamma: gamma!, scale: scale! };
      const before = { mean: beta!, variance: gamma!, keep: 0.9 };
      const { y, mean, variance, running } = batchNormTrain(norm, beta!, settings, before);
      const gradients = batchNormGradient(norm, { mean, variance }, dy!, settings);
      tf.dispose([y, mean, variance, running.mean, running.variance, gradients.dx, gradients.dgamma, gradients.dbeta]);
      return gradients.dscale!;
    };
    expect(await difference(inputs, body)).toBeLessThan(1e-5);
  });
});

describeWebgpu('webgpu element-wise kernels equal the composition on the CPU', () => {
  const x = normal([37, 41]);
  x.values.set([0, -0, 0.1, -0.1, 1.5, -1.5, 1, -1]);
  const dy = normal([37, 41], 2);

  it('bnn.Sign, exactly; +1 at 0 and −0', async () => {
    expect(await difference({ x }, ({ x }) => sign(x!))).toBe(0);
  });

  it.each([createReste(1), createReste(2), createReste(2.9), createSte(1), createSte(Infinity)])(
    'gradient of $name $attributes',
    async (estimator) => {
      expect(await difference({ x, dy }, ({ x, dy }) => signGradient(x!, dy!, estimator))).toBeLessThan(2e-6);
    },
  );

  it('the mean of magnitudes and its gradient', async () => {
    const share = { shape: [1, 1], values: Float32Array.of(-0.7) };
    expect(await difference({ x }, ({ x }) => meanMagnitude(x!))).toBeLessThan(1e-6);
    for (const hasSum of [false, true]) {
      const body = ({ x, dy, share }: Record<string, tf.Tensor>) =>
        meanMagnitudeGradient(x!, share!, hasSum ? dy : undefined);
      expect(await difference({ x, dy, share }, body)).toBeLessThan(1e-6);
    }
  });

  it('optimizer steps', async () => {
    const inputs = { p: normal([1031], 1), g: normal([1031], 2), m: normal([1031], 3), v: normal([1031], 4) };
    const squares = { ...inputs.v, values: inputs.v.values.map((value) => value * value) };
    const sgd = { lr: 0.1, momentum: 0.9, weightDecay: 1e-4 };
    expect(await difference(inputs, ({ p, g, v }) => sgdMomentum(p!, g!, v!, sgd))).toBeLessThan(1e-6);
    for (const decoupled of [true, false]) {
      const settings = { lr: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, decoupled, step: 3 };
      const body = ({ p, g, m, v }: Record<string, tf.Tensor>) => adam(p!, g!, m!, v!, settings);
      expect(await difference({ ...inputs, v: squares }, body)).toBeLessThan(1e-6);
    }
  });
});

describeWebgpu('webgpu kernels of tfjs that training uses equal those of the CPU', () => {
  const x = normal([2, 8, 8, 5]);
  const pooling = {
    filterSize: [3, 3],
    strides: [2, 2],
    pad: [
      [0, 0],
      [1, 1],
      [1, 1],
      [0, 0],
    ],
  };
  const halves = { filterSize: [2, 2], strides: [2, 2], pad: 'valid' };

  it.each([
    ['MaxPool', pooling],
    ['AvgPool', halves],
    ['AvgPool', { filterSize: [8, 8], strides: [8, 8], pad: 'valid' }],
    ['AvgPool', { filterSize: [1, 1], strides: [2, 2], pad: 'valid' }],
  ])('%s', async (name, attrs) => {
    expect(await difference({ x }, kernel(name, attrs))).toBeLessThan(1e-6);
  });

  it('gradients of poolings', async () => {
    const [output] = await runOn('cpu', { x }, kernel('MaxPool', pooling));
    const dy = normal(output!.shape, 2);
    expect(await difference({ dy, input: x, output: output! }, kernel('MaxPoolGrad', pooling))).toBeLessThan(1e-6);
    const small = normal([2, 4, 4, 5], 2);
    expect(await difference({ dy: small, input: x }, kernel('AvgPoolGrad', halves))).toBeLessThan(1e-6);
    const global = { filterSize: [8, 8], strides: [8, 8], pad: 'valid' };
    expect(await difference({ dy: normal([2, 1, 1, 5]), input: x }, kernel('AvgPoolGrad', global))).toBeLessThan(1e-6);
    const subsampled = { filterSize: [1, 1], strides: [2, 2], pad: 'valid' };
    expect(await difference({ dy: small, input: x }, kernel('AvgPoolGrad', subsampled))).toBeLessThan(1e-6);
  });

  it('matrix products, sums, padding, slices, transpositions, log-softmax', async () => {
    const [a, b] = [normal([33, 65]), normal([47, 65], 2)];
    const product = ({ a, b }: Record<string, tf.Tensor>) => [
      tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true),
      tf.sum(a!, 0),
      tf.mean(tf.abs(b!)),
      tf.logSoftmax(a as tf.Tensor2D),
    ];
    expect(await difference({ a, b }, product)).toBeLessThan(2e-6);
    const moved = ({ x }: Record<string, tf.Tensor>) => [
      tf.pad(
        x!,
        [
          [0, 0],
          [1, 2],
          [0, 1],
          [2, 2],
        ],
        -1,
      ),
      tf.slice(x!, [0, 1, 2, 0], [2, 5, 5, 5]),
      tf.transpose(x!, [0, 3, 1, 2]),
      tf.sum(x!, [0, 1, 2]),
    ];
    expect(await difference({ x }, moved)).toBeLessThan(1e-6);
  });
});
