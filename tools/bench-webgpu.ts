/**
 * Speed of the convolution kernels of the webgpu backend on the device that is there (whole training steps: `bnn bench train`):
 *
 *     npx tsx tools/bench-webgpu.ts [--batch 128] [--small] [--json]
 *
 * Prints, as JSON lines with `--json`, for each shape the times of the forward pass and of both gradients, and which share they reach of the multiply-adds that the device
 * computes in registers. `--small` makes everything small enough for a device that computes on the CPU.
 */

import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../src/backends/select-backend.ts';

const { values: options } = parseArgs({
  options: {
    batch: { type: 'string', default: '128' },
    small: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const backend = await selectBackend('webgpu');
const peak = (await backend.multiplyAddPeak?.()) ?? Number.NaN;
const bandwidth = (await backend.bandwidthPeak?.()) ?? Number.NaN;
const print = (text: string, facts: object): void => console.log(options.json ? JSON.stringify(facts) : text);
print(`${backend.description}: ${peak.toFixed(1)} Gflop/s in registers, ${bandwidth.toFixed(1)} GB/s of memory`, {
  event: 'device',
  ...{ device: backend.description, peakGflops: peak, peakGBs: bandwidth },
});

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
    const rates = times.map((ms) => `${ms.toFixed(3)} ms (${((100 * flops) / ms / 1e6 / peak).toFixed(1)} %)`);
    const shape = `${k}×${k}/${stride} ${channels}→${outChannels} @${size} n${batch}`;
    print(`${shape}: forward ${rates.join(', gradients ')}`, {
      event: 'kernel',
      ...{ shape, ms: times, shares: times.map((ms) => flops / ms / 1e6 / peak) },
    });
    tf.dispose([x, filter, dy]);
  }
}

await benchKernels();
// Dawn's threads would keep the process alive.
process.exit(0);
