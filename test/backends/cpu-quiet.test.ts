import * as tf from '@tensorflow/tfjs-core';
import { expect, it, vi } from 'vitest';
import { registerCpuBackend } from '../../src/backends/cpu/register.ts';

it('the cpu backend prints nothing of its own on first use', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  registerCpuBackend();
  await tf.setBackend('cpu');
  tf.tensor([1, 2]).dispose();
  expect(warn).not.toHaveBeenCalled();
});
