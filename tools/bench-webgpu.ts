/**
 * Speed of the webgpu backend on the device that is there:
 *
 *     npx tsx tools/bench-webgpu.ts [--model resnet20] [--batch 128] [--steps 50] [--kernels] [--small]
 *
 * Prints images per second of whole training steps on random pictures (the loss of a step is read while the next ones run), and with
 * --kernels the rate of each convolution kernel. `--small` makes everything small enough for a device that computes on the CPU.
 */

import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../src/backends/select-backend.ts';
import { createReste } from '../src/estimators/reste.ts';
import { softmaxCrossEntropy } from '../src/training/loss.ts';
import { Optimizer } from '../src/training/optimizer.ts';
import { Program } from '../src/training/program.ts';
import { buildModel, findNetwork } from '../src/zoo/zoo.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'resnet20' },
    backend: { type: 'string', default: 'webgpu' },
    batch: { type: 'string', default: '128' },
    steps: { type: 'string', default: '50' },
    kernels: { type: 'boolean', default: false },
    small: { type: 'boolean', default: false },
  },
});

const backend = await selectBackend(options.backend as 'webgpu');
console.log(backend.description);

type Inputs = Record<string, tf.Tensor>;
const run = (name: string, inputs: Inputs, attrs: object) =>
  tf.engine().runKernel(name, inputs, attrs as never) as tf.Tensor;

/** Milliseconds per call, of many in one submission, so that the waiting for its end counts little. */
async function time(kernel: string, inputs: Inputs, attrs: object): Promise<number> {
  const calls = options.small ? 2 : 50;
  const once = async (count: number) => {
    const begin = performance.now();
    let last: tf.Tensor | undefined;
    for (let i = 0; i < count; i++) {
      last?.dispose();
      last = run(kernel, inputs, attrs);
    }
    const probe = tf.slice(tf.reshape(last as tf.Tensor, [-1]), 0, 1);
    await probe.data();
    tf.dispose([last as tf.Tensor, probe]);
    return performance.now() - begin;
  };
  await once(1);
  let best = Infinity;
  for (let i = 0; i < 3; i++) best = Math.min(best, await once(calls));
  return best / calls;
}

/** size, in channels, out channels, kernel, stride. */
const CONVOLUTIONS = [
  [32, 3, 16, 3, 1],
  [32, 16, 16, 3, 1],
  [16, 32, 32, 3, 1],
  [8, 64, 64, 3, 1],
  [32, 64, 64, 3, 1],
  [16, 128, 128, 3, 1],
  [8, 256, 256, 3, 1],
  [4, 512, 512, 3, 1],
  [16, 64, 128, 1, 2],
] as const;

async function benchKernels(): Promise<void> {
  const batch = options.small ? 1 : Number(options.batch);
  for (const [size, channels, outChannels, k, stride] of CONVOLUTIONS) {
    if (options.small && channels > 64) continue;
    const x = tf.randomUniform([batch, size, size, channels], -1, 1);
    const filter = tf.randomUniform([k, k, channels, outChannels], -1, 1);
    const attrs = { strides: [stride, stride], pad: 'same', dilations: [1, 1], dataFormat: 'NHWC' };
    const dy = run('Conv2D', { x, filter }, attrs);
    const flops = 2 * dy.size * k * k * channels;
    const times = [
      await time('Conv2D', { x, filter }, attrs),
      await time('Conv2DBackpropInput', { dy, filter }, { ...attrs, inputShape: x.shape }),
      await time('Conv2DBackpropFilter', { x, dy }, { ...attrs, filterShape: filter.shape }),
    ];
    const rates = times.map((ms) => `${ms.toFixed(3)} ms ${(flops / ms / 1e9).toFixed(2)} Tflop/s`);
    console.log(
      `${k}×${k}/${stride} ${channels}→${outChannels} @${size} n${batch}: forward ${rates.join(', gradients ')}`,
    );
    tf.dispose([x, filter, dy]);
  }
}

async function benchTraining(): Promise<void> {
  const batch = options.small ? 4 : Number(options.batch);
  const steps = options.small ? 2 : Number(options.steps);
  const { channels, height, width } = findNetwork(options.model).input;
  const program = new Program(buildModel(options.model, { seed: 1 }), {
    explicitPadding: backend.name !== 'tensorflow',
  });
  const optimizer = new Optimizer(program, {
    optimizer: 'sgd',
    momentum: 0.9,
    weightDecay: 1e-4,
    weightDecayOn: 'all',
    clampWeights: 0,
  });
  const reste = createReste(2);
  const settings = { weightEstimator: reste, activationEstimator: reste };
  const x = tf.randomNormal([batch, height, width, channels]);
  const labels = tf.tensor1d(
    Int32Array.from({ length: batch }, (_, i) => i % 10),
    'int32',
  );
  const step = async (): Promise<number> => {
    const { loss, gradients } = program.differentiate(x, settings, (logits) => {
      const result = softmaxCrossEntropy(logits, labels, 0);
      return { loss: result, dlogits: result.dlogits };
    });
    optimizer.apply(gradients, 0.01);
    const value = loss.loss.data();
    loss.correct.dispose();
    const [number = Number.NaN] = await value;
    loss.loss.dispose();
    return number;
  };
  const warm = performance.now();
  await step();
  console.log(`first step with the translation of all shaders: ${(performance.now() - warm).toFixed(0)} ms`);
  await step();
  const begin = performance.now();
  // One step ahead: the device has work while the next step is recorded.
  let pending = step();
  for (let i = 1; i < steps; i++) {
    const next = step();
    await pending;
    pending = next;
  }
  const loss = await pending;
  const seconds = (performance.now() - begin) / 1000;
  const { peakBytes } = backend.memory();
  console.log(
    `${options.model}, batch ${batch}: ${((steps * batch) / seconds).toFixed(1)} images/s, ${((1000 * seconds) / steps).toFixed(2)} ms per step, ${(peakBytes / 2 ** 20).toFixed(0)} MiB, loss ${loss.toFixed(3)}`,
  );
}

if (options.kernels) await benchKernels();
await benchTraining();
// Dawn's threads would keep the process alive.
process.exit(0);
