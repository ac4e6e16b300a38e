import { join } from 'node:path';
import { expect, it } from 'vitest';
import { installedPackages } from '../../../src/backends/tensorflow/packages.ts';
import { gpuLackIn } from '../../../src/backends/tensorflow/setup-io.ts';
import { setupFolder } from '../../../src/core/machine/peers-io.ts';

it('the binding that was built here comes before a package for GPUs that was installed beside it', () => {
  const built = join(setupFolder('tensorflow'), 'node_modules', '@tensorflow', 'tfjs-node', 'index.js');
  const both = (name: string) => (name.endsWith('-gpu') ? '/project/node_modules/tfjs-node-gpu/index.js' : built);
  expect(installedPackages(both)).toEqual(['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu']);
  expect(installedPackages(() => '/project/x.js')).toEqual(['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']);
  expect(installedPackages(() => null)).toEqual([]);
});

it.each([
  [
    '2026-11-01 10:00:00.1: I external/local_xla/xla/tsl/cuda/cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will not be used.\n',
    'Could not find cuda drivers on your machine, GPU will not be used.',
  ],
  [
    'W tensorflow/core/common_runtime/gpu/gpu_device.cc:2343] Cannot dlopen some GPU libraries. Please make sure\n',
    'Cannot dlopen some GPU libraries',
  ],
  [
    'E cuda_executor.cc:1228] failed call to cuInit: INTERNAL: CUDA error: x',
    'failed call to cuInit: INTERNAL: CUDA error: x',
  ],
  ['I cpu_feature_guard.cc:210] This TensorFlow binary is optimized', undefined],
])('why TensorFlow uses no GPU is in its messages: %s', (messages, lack) => {
  expect(gpuLackIn(messages)).toBe(lack);
});
