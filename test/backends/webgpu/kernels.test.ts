import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { run } from '../../../src/kernels/run.ts';
import { kernel, normal, runOn, type Values, worstOf } from '../compare-kernels.ts';
import { describeWebgpu } from './device.ts';

/** Of what the webgpu backend computes from what that of the CPU does. */
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

describeWebgpu('signs that are packed where they are computed', () => {
  // A word, parts of one, and several.
  it.each([8, 16, 64])('of %i channels give the sums and the weight gradient that signs give', async (c) => {
    const x = normal([2, 6, 6, c]);
    const [gamma, beta, dy] = [normal([c], 2), normal([c], 3), normal([2, 6, 6, 12], 4)];
    const filter = normal([3, 3, c, 12], 5);
    const plain = {
      mean: { ...beta, values: new Float32Array(c) },
      variance: { ...beta, values: new Float32Array(c).fill(1) },
    };
    const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], padsBefore: false };
    const body = ({ x, gamma, beta, mean, variance, filter, dy }: Record<string, tf.Tensor>) => {
      const norm = { x, gamma, beta, scale: undefined, residual: undefined } as never as {
        x: tf.Tensor;
        gamma: tf.Tensor;
        beta: tf.Tensor;
      };
      const y = run(
        'BnnBatchNormInfer',
        { ...norm, mean: mean!, variance: variance! },
        { epsilon: 0, relu: false, areSignsRead: true },
      );
      const signs = run('BnnSign', { x: filter! });
      return [
        run('BnnBinaryConv', { x: y, filter: signs }, { ...attrs, filterIsSigns: true } as never),
        run('BnnBinaryConvFilterGrad', { x: y, dy: dy! }, { ...attrs, filterShape: [3, 3, c, 12] } as never),
      ];
    };
    const inputs = { x, gamma, beta, ...plain, filter, dy };
    expect(await difference(inputs, body)).toBeLessThan(1e-6);
  });
});

describeWebgpu('sums of signs in 16 bits', () => {
  // Words loaded one, two and four at once; pixels that four do not divide.
  it.each([
    { c: 20, stride: 1, side: 5 },
    { c: 64, stride: 2, side: 7 },
    { c: 128, stride: 1, side: 6 },
  ])(
    'of $c channels, stride $stride, are the same numbers for who reads them, and for who does not know of them',
    async ({ c, stride, side }) => {
      const [x, filter, vector] = [normal([3, side, side, c]), normal([3, 3, c, 12], 2), normal([12], 3)];
      const outSide = Math.ceil(side / stride);
      const dy = normal([3, outSide, outSide, 12], 4);
      const padded = {
        strides: [stride, stride],
        pad: 'same',
        dataFormat: 'NHWC',
        dilations: [1, 1],
        padsBefore: false,
      };
      const body =
        (isNormalized: boolean) =>
        ({ x, filter, vector, scale, dy }: Record<string, tf.Tensor>) => {
          const signs = run('BnnSign', { x: filter! });
          const y = run('BnnBinaryConv', { x: x!, filter: signs }, {
            ...padded,
            filterIsSigns: true,
            isNormalized,
          } as never);
          const norm = { x: y, gamma: vector!, beta: vector!, scale: scale!, residual: undefined };
          // With a smaller one the gradient of the scale would be almost 0.
          const attributes = { epsilon: 1, relu: true };
          const running = { runningMean: vector!, runningVariance: vector! };
          const [z, mean, variance] = run('BnnBatchNormTrain', { ...norm, ...running }, { ...attributes, keep: 0.9 });
          const statistics = { mean, variance };
          const gradients = run('BnnBatchNormGrad', { ...norm, ...statistics, dy: dy! }, attributes);
          const inferred = run('BnnBatchNormInfer', { ...norm, ...statistics }, attributes);
          return [
            z,
            mean,
            variance,
            inferred,
            ...(gradients as tf.Tensor[]),
            tf.clone(y),
            tf.maxPool(y as tf.Tensor4D, 2, 1, 'same'),
          ];
        };
      const inputs = { x, filter, vector, dy, scale: { shape: [], values: Float32Array.of(-0.37) } };
      const short = await runOn('webgpu', inputs, body(true));
      expect(short).toEqual(await runOn('webgpu', inputs, body(false)));
      expect(worstOf(short, await runOn('cpu', inputs, body(true)))).toBeLessThan(1e-5);
    },
  );
});
