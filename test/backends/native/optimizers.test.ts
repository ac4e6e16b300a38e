import { expect, it } from 'vitest';
import { describeNative, random, run, setThreads } from './harness.ts';

const N = 40_001;

describeNative('optimizer kernels against the formulas in double precision', () => {
  const param = random([N]);
  const grad = random([N], 2);
  const m = random([N], 3);
  const v = { shape: [N], values: random([N], 4).values.map(Math.abs) };

  it('BnnSgdMomentum', async () => {
    setThreads(2);
    const attrs = { lr: 0.1, momentum: 0.9, weightDecay: 0.01 };
    const [p1, v1] = await run('native', 'BnnSgdMomentum', { param, grad, velocity: m }, attrs);
    for (let i = 0; i < N; i += 97) {
      const g = grad.values[i]! + 0.01 * param.values[i]!;
      const velocity = 0.9 * m.values[i]! + g;
      expect(v1!.values[i]).toBeCloseTo(velocity, 5);
      expect(p1!.values[i]).toBeCloseTo(param.values[i]! - 0.1 * velocity, 5);
    }
  });

  it.each([
    [false, 1],
    [false, 100],
    [true, 7],
  ])('BnnAdam, decoupled %j, step %j', async (decoupled, step) => {
    const attrs = { lr: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, decoupled, step };
    const [p1, m1, v1] = await run('native', 'BnnAdam', { param, grad, m, v }, attrs);
    for (let i = 0; i < N; i += 97) {
      const p = param.values[i]!;
      const g = grad.values[i]! + (decoupled ? 0 : 0.1 * p);
      const first = 0.9 * m.values[i]! + 0.1 * g;
      const second = 0.999 * v.values[i]! + 0.001 * g * g;
      const change = first / (1 - 0.9 ** step) / (Math.sqrt(second / (1 - 0.999 ** step)) + 1e-8);
      expect(m1!.values[i]).toBeCloseTo(first, 5);
      expect(v1!.values[i]).toBeCloseTo(second, 5);
      expect(p1!.values[i]).toBeCloseTo((decoupled ? p * (1 - 0.01 * 0.1) : p) - 0.01 * change, 4);
    }
  });

  it('refuses a step of 0 and a gradient of another size', async () => {
    const attrs = { lr: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, decoupled: false, step: 0 };
    await expect(run('native', 'BnnAdam', { param, grad, m, v }, attrs)).rejects.toThrow(/step is 0/);
    const sgd = { lr: 0.1, momentum: 0.9, weightDecay: 0 };
    await expect(run('native', 'BnnSgdMomentum', { param, grad: random([3]), velocity: m }, sgd)).rejects.toThrow(
      /input grad is \[3\]/,
    );
  });
});
