/**
 * Times the kernels of the `native` backend through tfjs, as training calls them.
 *
 *     npx tsx tools/bench-native.ts [--threads N] [--repeat N] [--only TEXT]
 *
 * Convolutions print Gflop/s (a multiply and an add are two) and the share of the machine's multiply-add peak, measured in the same
 * run; the rest prints GB/s of what they must read and write. Times are the best of the repetitions. Data that was just used is still
 * in the caches, so the element-wise figures are those of the last-level cache where it is large.
 */

import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { registerNativeBackend } from '../src/backends/native/register.ts';
import { selectBackend } from '../src/backends/select-backend.ts';

const { values: options } = parseArgs({
  options: {
    threads: { type: 'string' },
    repeat: { type: 'string', default: '15' },
    only: { type: 'string', default: '' },
  },
});
const repeat = Number(options.repeat);
const backend = await selectBackend('native', {
  threads: options.threads === undefined ? undefined : Number(options.threads),
});
console.log(`${backend.description}, best of ${repeat}`);

type Inputs = Record<string, tf.Tensor>;

/** Best time in seconds of one kernel call, its outputs disposed. */
function time(kernel: string, inputs: Inputs, attrs: object = {}): number {
  let best = Infinity;
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    const output = tf.engine().runKernel(kernel, inputs, attrs as never);
    best = Math.min(best, performance.now() - start);
    tf.dispose(output);
  }
  return best / 1000;
}

function report(name: string, seconds: number, amount: number, unit: string, peak?: number): void {
  if (!name.includes(options.only)) return;
  const rate = amount / seconds / 1e9;
  const share = peak === undefined ? '' : `  ${((100 * rate) / peak).toFixed(0).padStart(3)} %`;
  const milliseconds = (seconds * 1000).toFixed(3).padStart(9);
  console.log(`${name.padEnd(46)} ${milliseconds} ms ${rate.toFixed(1).padStart(7)} ${unit}${share}`);
}

/** batch, size, in channels, out channels, kernel, stride. */
const CONVOLUTIONS = [
  [128, 32, 3, 16, 3, 1],
  [128, 32, 16, 16, 3, 1],
  [128, 32, 16, 32, 3, 2],
  [128, 16, 32, 32, 3, 1],
  [128, 16, 32, 64, 3, 2],
  [128, 8, 64, 64, 3, 1],
  [128, 32, 16, 32, 1, 2],
  [32, 16, 128, 128, 3, 1],
  [32, 8, 256, 256, 3, 1],
  [32, 4, 512, 512, 3, 1],
  [8, 56, 64, 64, 3, 1],
  [8, 7, 512, 512, 3, 1],
  [8, 28, 128, 256, 1, 2],
  [4, 224, 3, 64, 7, 2],
] as const;

const native = registerNativeBackend();
const peak = native.ok ? native.value.multiplyAddPeak() : Number.NaN;
console.log(`multiply-adds in registers: ${peak.toFixed(0)} Gflop/s`);

for (const [batch, size, channels, outChannels, kernel, strides] of CONVOLUTIONS) {
  const x = tf.randomUniform([batch, size, size, channels], -1, 1);
  const filter = tf.randomUniform([kernel, kernel, channels, outChannels], -1, 1);
  const pad = Math.floor(kernel / 2);
  const attrs = { strides, pad, dilations: 1, dataFormat: 'NHWC' };
  const dy = tf.engine().runKernel('Conv2D', { x, filter }, attrs as never) as tf.Tensor;
  const flops = 2 * dy.size * kernel * kernel * channels;
  const name = `${kernel}×${kernel}/${strides} ${channels}→${outChannels} @${size} n${batch}`;
  report(`${name} forward`, time('Conv2D', { x, filter }, attrs), flops, 'Gflop/s', peak);
  const signs = tf.sign(filter);
  report(`${name} forward on bits`, time('BnnBinaryConv', { x, filter: signs }, attrs), flops, 'Gflop/s');
  const toInput = time('Conv2DBackpropInput', { dy, filter }, { ...attrs, inputShape: x.shape });
  report(`${name} input gradient`, toInput, flops, 'Gflop/s', peak);
  const toFilter = time('Conv2DBackpropFilter', { x, dy }, { ...attrs, filterShape: filter.shape });
  report(`${name} filter gradient`, toFilter, flops, 'Gflop/s', peak);
  tf.dispose([x, filter, signs, dy]);
}

/** batch, size, channels, kernel, stride, groups, dilation. */
const GROUPED = [
  [32, 32, 96, 3, 1, 96, 1],
  [32, 32, 144, 3, 2, 144, 1],
  [32, 16, 192, 3, 1, 192, 1],
  [32, 8, 384, 3, 1, 384, 1],
  [32, 4, 960, 3, 1, 960, 1],
  [32, 16, 120, 5, 1, 120, 1],
  [32, 16, 128, 3, 1, 8, 1],
  [32, 16, 128, 3, 1, 32, 1],
  [32, 32, 32, 3, 1, 1, 2],
] as const;

for (const [batch, size, channels, kernel, strides, groups, dilations] of GROUPED) {
  const x = tf.randomUniform([batch, size, size, channels], -1, 1);
  const filter = tf.randomUniform([kernel, kernel, channels / groups, channels], -1, 1);
  const pad = Math.floor(kernel / 2) * dilations;
  const attrs = { strides, pad, dilations, groups, dataFormat: 'NHWC' };
  const dy = tf.engine().runKernel('BnnConv', { x, filter }, attrs as never) as tf.Tensor;
  const flops = (2 * dy.size * kernel * kernel * channels) / groups;
  const bytes = 4 * (x.size + dy.size);
  const name = `${kernel}×${kernel}/${strides} ${channels} in ${groups}, dilation ${dilations} @${size} n${batch}`;
  // Depthwise ones read and write more than they compute.
  const show = (pass: string, seconds: number) =>
    groups === channels
      ? report(`${name} ${pass}`, seconds, bytes, 'GB/s')
      : report(`${name} ${pass}`, seconds, flops, 'Gflop/s', peak);
  show('forward', time('BnnConv', { x, filter }, attrs));
  show('input gradient', time('BnnConvInputGrad', { dy, filter }, { ...attrs, inputShape: x.shape }));
  show('filter gradient', time('BnnConvFilterGrad', { x, dy }, { ...attrs, filterShape: filter.shape }));
  tf.dispose([x, filter, dy]);
}

for (const shape of [
  [128, 32, 32, 16],
  [128, 16, 16, 32],
  [128, 8, 8, 64],
]) {
  const x = tf.randomUniform(shape, -1, 1);
  const dy = tf.randomUniform(shape, -1, 1);
  const c = shape[3] ?? 1;
  const [gamma, beta, scale] = [tf.ones([c]), tf.zeros([c]), tf.fill([c], 0.5)];
  const [mean, variance] = [tf.zeros([c]), tf.ones([c])];
  const bytes = 4 * x.size;
  const name = shape.join('×');
  const norm = { epsilon: 1e-5, relu: true };
  const reste = { estimator: 'reste', o: 3, t: 1.5, m: 0.1 };
  const cases: readonly (readonly [string, Inputs, object, number])[] = [
    ['Add', { a: x, b: dy }, {}, 3],
    ['Multiply', { a: x, b: gamma }, {}, 2],
    ['Relu', { x }, {}, 2],
    ['Step', { x }, { alpha: 0 }, 2],
    ['BnnSign', { x }, {}, 2],
    ['BnnSignGrad', { x, dy }, { estimator: 'ste', clip: 1 }, 3],
    ['BnnSignGrad', { x, dy }, reste, 3],
    [
      'BnnBatchNormTrain',
      { x, gamma, beta, scale, runningMean: mean, runningVariance: variance },
      { ...norm, keep: 0.9 },
      3,
    ],
    ['BnnBatchNormInfer', { x, gamma, beta, mean, variance, scale }, norm, 2],
    ['BnnBatchNormGrad', { x, dy, gamma, mean, variance, scale }, norm, 5],
    ['Sum', { x }, { axis: [0, 1, 2] }, 1],
    ['Transpose', { x }, { perm: [0, 3, 1, 2] }, 2],
    ['MaxPool', { x }, { filterSize: 2, strides: 2, pad: 'valid' }, 1.25],
  ];
  for (const [kernel, inputs, attrs, passes] of cases) {
    const label = 'estimator' in attrs ? `${kernel} ${String(attrs.estimator)}` : kernel;
    report(`${label} ${name}`, time(kernel, inputs, attrs), passes * bytes, 'GB/s');
  }
  tf.dispose([x, dy, gamma, beta, scale, mean, variance]);
}

const parameters = tf.randomUniform([1 << 20], -1, 1);
const sgd = { lr: 0.1, momentum: 0.9, weightDecay: 1e-4 };
const seconds = time('BnnSgdMomentum', { param: parameters, grad: parameters, velocity: parameters }, sgd);
report('BnnSgdMomentum 2^20', seconds, 5 * 4 * parameters.size, 'GB/s');
