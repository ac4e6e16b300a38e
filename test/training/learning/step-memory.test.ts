import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import type { NativeBackend } from '../../../src/backends/native/backend.ts';
import { registerNativeBackend } from '../../../src/backends/native/register.ts';
import { createSte } from '../../../src/estimators/ste.ts';
import { assertStepFits, largestBatch } from '../../../src/training/learning/step-memory.ts';
import { Program } from '../../../src/training/program/program.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';

const native = registerNativeBackend();
const ste = createSte(1);
const SETTINGS = { weightEstimator: ste, activationEstimator: ste };

describe.skipIf(!native.ok)('the estimate of a training step', () => {
  // Each takes more than those before: the backend knows the most that was taken since it began.
  it.each([
    ['binarynet-mini', 1, 28, 64],
    ['resnet20', 3, 32, 16],
    ['vgg-small', 3, 32, 16],
  ] as const)('of %s is what the native backend takes', async (name, channels, size, batch) => {
    await tf.setBackend('native');
    const pool = () => (tf.backend() as NativeBackend).poolStatistics();
    const program = new Program(buildModel(name, { seed: 1, channels, imageSize: size }), { explicitPadding: true });
    const parameters = pool().bytesInUse;
    const x = tf.zeros([batch, size, size, channels]);
    const { gradients } = program.differentiate(x, SETTINGS, (y) => ({ loss: 0, dlogits: tf.onesLike(y) }));
    const measured = pool().peakBytes - parameters;
    const estimate = 4 * program.peakElements(batch, true);
    // Gradients of parameters are counted elsewhere, and kernels need a little for themselves.
    expect(estimate).toBeLessThan(1.02 * measured);
    expect(estimate + parameters).toBeGreaterThan(0.9 * measured);
    expect(4 * program.peakElements(batch, false)).toBeLessThan(estimate);
    tf.dispose([x, ...gradients.values()]);
    program.dispose();
  });
});

describe('a step that cannot fit', () => {
  it('is refused with both numbers, and a batch size that fits with some room', () => {
    const bytesOf = (batch: number) => 1e9 + batch * 1e8;
    expect(() => assertStepFits(bytesOf, 40, 5e9)).not.toThrow();
    expect(() => assertStepFits(bytesOf, 64, 5e9)).toThrow(
      expect.objectContaining({
        code: 'E_BACKEND',
        message: 'a training step of 64 pictures needs at least 7.4 GB of memory, 5 GB can be used',
        hint: '--batch-size 30 would fit',
      }),
    );
    expect(() => assertStepFits(bytesOf, 64, 1e9)).toThrow(
      expect.objectContaining({ hint: 'one picture needs 1.1 GB; choose smaller pictures or a smaller network' }),
    );
  });

  it('the largest batch is found among all', () => {
    for (const limit of [0, 1, 5, 99, 100, 1000]) {
      expect(largestBatch((batch) => batch, 100, limit)).toBe(Math.min(100, limit));
    }
  });
});
