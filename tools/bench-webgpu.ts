/**
 * Speed of the convolution kernels of the webgpu backend on the device that is there (whole training steps: `bnn bench train`):
 *
 *     npx tsx tools/bench-webgpu.ts [--batch 128] [--small] [--tensor-cores] [--json]
 *
 * Prints, as JSON lines with `--json`, for each shape the times of the forward pass and of both gradients, and which share they reach of the multiply-adds that the device
 * computes in registers. `--small` makes everything small enough for a device that computes on the CPU. `--tensor-cores`, with BNN_TENSOR_CORES=1
 * in the environment, compares the gradients of binary layers by tensor cores with the ordinary kernels instead: times, and how far they lie apart.
 */

import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../src/backends/select-backend.ts';
import { loadWebgpu } from '../src/backends/webgpu/load.ts';
import { matrixUnitsOf, setMatrixUnits } from '../src/backends/webgpu/matrix-units.ts';
import type { WebgpuBackend } from '../src/backends/webgpu/webgpu-backend.ts';
import { requireFound } from '../src/core/found.ts';
import { relativeError } from '../src/core/numbers/tolerance.ts';

const { values: options } = parseArgs({
  options: {
    batch: { type: 'string', default: '128' },
    small: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'tensor-cores': { type: 'boolean', default: false },
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

type Units = ReturnType<typeof matrixUnitsOf>;

/** By tensor cores and without, in turns; the results of both, and the times of both. */
async function compare(
  kernel: string,
  inputs: Inputs,
  attrs: object,
  { backend, units }: { backend: WebgpuBackend; units: Units },
) {
  const [ms, results]: [number[], Float32Array[]] = [[], []];
  for (const used of [null, units]) {
    setMatrixUnits(backend, used);
    ms.push(await time(kernel, inputs, attrs));
    const result = run(kernel, inputs, attrs);
    results.push((await result.data()) as Float32Array);
    result.dispose();
  }
  const [want, got] = results as [Float32Array, Float32Array];
  return { ms, apart: relativeError(got, want) };
}

async function benchTensorCores(): Promise<void> {
  const { backend } = requireFound(await loadWebgpu());
  const units = matrixUnitsOf(backend);
  if (units === null) throw new Error('set BNN_TENSOR_CORES=1');
  print(`matrices of ${units.m}×${units.n}×${units.k}`, { event: 'matrices', m: units.m, n: units.n, k: units.k });
  const batch = options.small ? 1 : Number(options.batch);
  for (const [size, channels, outChannels, k, stride] of CONVOLUTIONS) {
    if (channels < 32 || (options.small && channels > 64)) continue;
    const x = tf.randomUniform([batch, size, size, channels], -1, 1);
    const filter = tf.tidy(() => run('BnnSign', { x: tf.randomUniform([k, k, channels, outChannels], -1, 1) }, {}));
    const attrs = {
      ...{ strides: [stride, stride], pad: 'same', dilations: [1, 1], dataFormat: 'NHWC', filterIsSigns: true },
      ...{ estimator: 'ste', clip: 1, filterShape: filter.shape },
    };
    const y = run('BnnBinaryConv', { x, filter }, attrs);
    const dy = tf.randomNormal(y.shape, 0, 1e-4);
    const gradients = [
      await compare('BnnBinaryConvInputGrad', { dy, filter, x }, attrs, { backend, units }),
      await compare('BnnBinaryConvFilterGrad', { x, dy }, attrs, { backend, units }),
    ];
    const shape = `${k}×${k}/${stride} ${channels}→${outChannels} @${size} n${batch}`;
    const texts = gradients.map(
      ({ ms: [plain = Number.NaN, units = Number.NaN], apart }) =>
        `${plain.toFixed(3)} → ${units.toFixed(3)} ms (${apart.toExponential(1)} apart)`,
    );
    print(`${shape}: gradients ${texts.join(', ')}`, {
      event: 'gradients',
      ...{ shape, ms: gradients.map(({ ms }) => ms), apart: gradients.map(({ apart }) => apart) },
    });
    tf.dispose([x, filter, y, dy]);
  }
}

await (options['tensor-cores'] ? benchTensorCores() : benchKernels());
// Dawn's threads would keep the process alive.
process.exit(0);
