/** What happens where a device has too little memory, on one that counts it. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, expect, it } from 'vitest';
import { explainOutOfMemory, isOutOfMemory } from '../../../src/backends/out-of-memory.ts';
import { selectBackend } from '../../../src/backends/select-backend.ts';
import { run } from '../../../src/kernels/run.ts';
import { TrainingBench } from '../../../src/training/learning/bench-training.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { train } from '../../../src/training/sessions/trainer.ts';
import { normal } from '../compare-kernels.ts';
import { describeFake, device, loaded } from './fake.ts';

const MIB = 2 ** 20;

/** Takes steps, or says what a benchmark would say. */
async function takeSteps(model: string, batch: number): Promise<void> {
  const backend = await selectBackend('webgpu');
  const attempt = async (size: number, steps: number) => {
    const bench = new TrainingBench({ model, batch: size, estimator: 'reste', backend });
    try {
      await bench.round(steps);
    } finally {
      await bench.close();
    }
  };
  await attempt(batch, 3).catch(async (error: unknown) => {
    if (!isOutOfMemory(error)) throw error;
    throw await explainOutOfMemory(error, batch, (size) => attempt(size, 1));
  });
}

afterEach(() => {
  device.memory = Infinity;
});

describeFake('a device with too little memory', () => {
  it('ResNet-18-CIFAR in 1,300 MiB: 256 pictures do not fit, 128 are advised, and 128 train', async () => {
    device.memory = 1300 * MIB;
    await expect(takeSteps('resnet18-cifar', 256)).rejects.toMatchObject({
      code: 'E_BACKEND',
      message: 'there is too little memory for a training step of 256 pictures',
      hint: '--batch-size 128 fits',
    });
    await takeSteps('resnet18-cifar', 128);
    expect(device.peakBytes).toBeLessThanOrEqual(1300 * MIB);
  });

  it('ResNet-18-CIFAR in 1,500 MiB: 256 pictures train', async () => {
    if (loaded.ok) loaded.value.backend.bufferManager.trim();
    device.memory = 1500 * MIB;
    await takeSteps('resnet18-cifar', 256);
  });

  it('a training says so too, and trains with what it advises', async () => {
    const out = await mkdtemp(join(tmpdir(), 'bnn-memory-'));
    const recipe = (batchSize: number) =>
      parseRecipe([
        {
          model: 'binarynet-mini',
          dataset: 'mnist',
          limitTrain: 512,
          limitTest: 10,
          epochs: 1,
          batchSize,
          backend: 'webgpu',
        },
      ]);
    try {
      if (!loaded.ok) return;
      const { bufferManager } = loaded.value.backend;
      bufferManager.trim();
      device.memory = device.aliveBytes + 16 * MIB;
      await expect(train(recipe(512), { out: join(out, 'large') })).rejects.toMatchObject({
        code: 'E_BACKEND',
        hint: expect.stringMatching(/^--batch-size \d+ fits$/) as string,
      });
      expect(bufferManager.numBytesUsed).toBeLessThan(MIB);
    } finally {
      await rm(out, { recursive: true });
    }
  });

  it.each([{ maxBufferSize: 40 * MIB }, { maxStorageBufferBindingSize: 40 * MIB }])(
    'one tensor larger than it takes is too little memory: %o',
    async (limits) => {
      const before = { ...device.limits };
      Object.assign(device.limits, limits);
      try {
        await expect(takeSteps('resnet18-cifar', 256)).rejects.toMatchObject({ hint: '--batch-size 128 fits' });
      } finally {
        Object.assign(device.limits, before);
      }
    },
  );
});

describeFake('recorded steps', () => {
  it('leave no buffer on the device, however often they are recorded', async () => {
    if (!loaded.ok) return;
    const backend = await selectBackend('webgpu');
    const round = async () => {
      const bench = new TrainingBench({ model: 'resnet20', batch: 8, estimator: 'reste', backend });
      await bench.round(3);
      await bench.close();
      backend.trimMemory?.();
      return device.alive.size;
    };
    await round();
    const after = await round();
    for (let i = 0; i < 3; i++) expect(await round()).toBe(after);
  });

  it('numbers of many epochs are not kept', async () => {
    if (!loaded.ok) return;
    await tf.setBackend('webgpu');
    const { values, shape } = normal([64]);
    const x = tf.tensor(values, [...shape]);
    const slope = (m: number) => run('BnnSignGrad', { x, dy: x }, { estimator: 'reste', o: 2, t: 1.5, m }).dispose();
    for (let i = 1; i <= 1100; i++) slope(i / 1e4);
    const { size } = device.alive;
    for (let i = 1; i <= 500; i++) slope(i / 1e5);
    expect(device.alive.size).toBe(size);
    x.dispose();
  });
});
