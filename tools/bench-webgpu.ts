/**
 * Speed of the webgpu backend on the device that is there:
 *
 *     npx tsx tools/bench-webgpu.ts [--model resnet20] [--batch 128] [--steps 50] [--kernels] [--small]
 *
 * Prints images per second of whole training steps on random pictures (the loss of a step is read while the next one runs) and where the
 * host spends them, and with --kernels the rate of each convolution kernel. `--small` makes everything small enough for a device that computes on the CPU.
 */

import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../src/backends/select-backend.ts';
import { TrainingBench } from '../src/training/bench-training.ts';

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
  const bench = new TrainingBench({ model: options.model, batch, backend, estimator: 'reste' });
  const first = await bench.round(1);
  console.log(`first step with the translation of all shaders: ${(1000 * first.seconds).toFixed(0)} ms`);
  await bench.round(2);
  const { imagesPerSecond, seconds, phasesMs } = await bench.round(steps);
  const { peakBytes } = backend.memory();
  const phases = Object.entries(phasesMs).filter(([, ms]) => ms > 0);
  console.log(
    `${options.model}, batch ${batch}: ${imagesPerSecond.toFixed(1)} images/s, ${((1000 * seconds) / steps).toFixed(2)} ms per step (${phases.map(([name, ms]) => `${name} ${ms.toFixed(2)}`).join(', ')}), ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
  );
  await bench.close();
}

if (options.kernels) await benchKernels();
await benchTraining();
// Dawn's threads would keep the process alive.
process.exit(0);
