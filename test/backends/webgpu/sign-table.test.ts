import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { createDsq } from '../../../src/estimators/dsq.ts';
import { createEde } from '../../../src/estimators/ede.ts';
import type { Estimator } from '../../../src/estimators/estimator.ts';
import { kernel, runOn } from '../compare-kernels.ts';
import { describeWebgpu } from './device.ts';

describeWebgpu('webgpu gradients of estimators from tables equal their formulas', () => {
  const slopes = async (estimator: Estimator, values: Float32Array): Promise<Float32Array> => {
    const shape = [values.length];
    const inputs = { x: { shape, values }, dy: { shape, values: new Float32Array(values.length).fill(1) } };
    const [dx] = await runOn('webgpu', inputs, kernel('BnnSignGradTable', estimator.attributes!));
    return dx!.values;
  };

  it('on a grid, for more tables than are kept on the device', async () => {
    const grid = Float32Array.from({ length: 2001 }, (_, i) => (i - 1000) / 300);
    const estimators = [createDsq(0.2), createEde(1), createEde(2), createEde(3), createEde(5), createDsq(0.2)];
    for (const estimator of estimators) {
      const scale = estimator.factor(0);
      for (const [i, s] of (await slopes(estimator, grid)).entries()) {
        expect(Math.abs(s - estimator.factor(grid[i]!)), `s(${grid[i]})`).toBeLessThan(3e-6 * scale);
      }
    }
  });

  it('is 0 beyond the limit, for infinities too', async () => {
    const values = await slopes(createDsq(0.2), Float32Array.of(1, 1.0000001, -7, Infinity, -Infinity));
    expect(values[0]).toBeGreaterThan(0);
    expect(Array.from(values.slice(1))).toEqual([0, 0, 0, 0]);
    expect(tf.getBackend()).toBe('webgpu');
  });
});
