import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { bandwidthPeak, multiplyAddPeak } from '../../../src/backends/webgpu/peak.ts';
import { relativeError } from '../../../src/core/numbers/tolerance.ts';
import { trainTiny } from '../train-tiny.ts';
import { describeWebgpu, webgpu } from './device.ts';

describeWebgpu('the peak of a device', () => {
  it('counts multiply-adds that were computed', async () => {
    if (!webgpu.ok) return;
    await tf.setBackend('webgpu');
    const gflops = await multiplyAddPeak(webgpu.value.backend);
    // Of anything between an emulated device and the largest GPU.
    expect(gflops).toBeGreaterThan(0.001);
    expect(gflops).toBeLessThan(1e6);
  });

  it('counts bytes that were copied', async () => {
    if (!webgpu.ok) return;
    await tf.setBackend('webgpu');
    const speed = await bandwidthPeak(webgpu.value.backend);
    expect(speed).toBeGreaterThan(0.01);
    expect(speed).toBeLessThan(1e5);
  });
});

describeWebgpu('training on webgpu', () => {
  it('takes the same steps as on the CPU, in one submission each, and leaks nothing', async () => {
    const want = await trainTiny('cpu');
    if (!webgpu.ok) return;
    let submissions = 0;
    const submit = webgpu.value.backend.submitQueue.bind(webgpu.value.backend);
    webgpu.value.backend.submitQueue = () => {
      submissions++;
      submit();
    };
    const got = await trainTiny('webgpu', () => {
      submissions = 0;
    });
    expect(relativeError(got.losses, want.losses)).toBeLessThan(1e-5);
    expect(relativeError(got.gradient, want.gradient)).toBeLessThan(1e-4);
    // Reading the loss submits the step; nothing else does.
    expect(submissions).toBe(1);
    expect(tf.memory().numTensors).toBe(got.tensorsBefore);
  });
});
