/** What a training step gives to the device, held to bounds: on one that only counts, so no GPU is needed. */

import { expect, it } from 'vitest';
import { selectBackend } from '../../../src/backends/select-backend.ts';
import type { TimedCommand } from '../../../src/backends/step-recorder.ts';
import { TrainingBench } from '../../../src/training/learning/bench-training.ts';
import { describeFake, device } from './fake.ts';
import type { Counts } from './fake-device.ts';

/** The third step of a network, which is one that runs recorded commands, and its commands. */
async function stepOf(model: string, batch: number): Promise<Counts & { readonly commands: readonly TimedCommand[] }> {
  const bench = new TrainingBench({ model, batch, estimator: 'reste', backend: await selectBackend('webgpu') });
  try {
    await bench.round(2);
    device.take();
    await bench.round(1);
    const counts = device.take();
    return { ...counts, commands: (await bench.profile()) ?? [] };
  } finally {
    await bench.close();
  }
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

describeFake('a recorded training step', () => {
  it('of ResNet-20 takes few commands and copies nothing but the loss', async () => {
    const { dispatches, copies, copiedBytes, uniformWrites, submissions, writtenBytes, commands } = await stepOf(
      'resnet20',
      128,
    );
    expect(dispatches.length).toBeLessThanOrEqual(MOST.dispatches);
    expect(commands.map(({ bytes }) => bytes)).toEqual(dispatches.map(({ bytes }) => bytes));
    expect([copies, copiedBytes, submissions]).toEqual([1, 8, 1]);
    expect(uniformWrites).toBeLessThanOrEqual(5);
    // Pictures as bytes, labels, and the learning rate.
    expect(writtenBytes - 128 * (32 * 32 * 3 + 4)).toBeLessThanOrEqual(5 * 256);
  });

  it('of ResNet-18-CIFAR, 256 pictures, moves few bytes and multiplies only what counts', async () => {
    const { dispatches, commands, copies, submissions } = await stepOf('resnet18-cifar', 256);
    expect(sum(dispatches.map(({ bytes }) => bytes))).toBeLessThanOrEqual(MOST.bytes);
    expect(sum(commands.map(({ multiplyAdds }) => multiplyAdds))).toBeLessThanOrEqual(290e9);
    expect(copies).toBe(1);
    // A step this long is given to the device in parts.
    expect(submissions).toBeGreaterThan(10);
    const layers = new Set(commands.map(({ scope }) => scope));
    expect([...layers]).toEqual(expect.arrayContaining(['loss', 'optimizer', 'layer4.1.conv2']));
  });
});

const MOST = { dispatches: 310, bytes: 8.7e9 };
