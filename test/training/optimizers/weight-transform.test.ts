import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { adasteGradient, adasteMap, adasteMapOf, adasteMu, adasteScale } from '../../../src/estimators/adaste.ts';
import { bop } from '../../../src/training/optimizers/bop.ts';
import {
  createBiper,
  createRecu,
  recuTau,
  WEIGHT_TRANSFORMS,
} from '../../../src/training/optimizers/weight-transform.ts';

const golden = JSON.parse(readFileSync(new URL('../../golden/weight-transforms.json', import.meta.url), 'utf8'));

beforeAll(() => tf.setBackend('cpu'));

describe('ReCU', () => {
  it.each(golden.recu.cases as { tau: number; w2: number[] }[])(
    'transforms as the reference at τ = $tau',
    ({ tau, w2 }) => {
      // OIHW in the reference: its filters are the first dimension.
      const result = createRecu(tau).forward(tf.tensor(golden.recu.w, golden.recu.shape), 0).dataSync();
      for (const [i, expected] of w2.entries()) {
        expect(Math.abs(result[i]! - expected)).toBeLessThanOrEqual(2e-6 * Math.max(1, Math.abs(expected)));
      }
    },
  );

  it('follows its schedule', () => {
    for (const { epoch, epochs, tau } of golden.recu_tau) expect(recuTau(epoch, epochs)).toBeCloseTo(tau, 12);
  });
});

it('ReCU passes no gradient through a clipped weight', () => {
  const { w, shape } = golden.recu;
  const clipped = (golden.recu.cases[0].w2 as number[]).map((value) => (Math.abs(value) > 2.2184 ? 1 : 0));
  expect(clipped).toContain(1);
  const gradient = createRecu(golden.recu.cases[0].tau).backward(tf.tensor(w, shape), tf.tensor(clipped, shape), 0);
  expect(Array.from(gradient.dataSync()).every((value) => value === 0)).toBe(true);
});

it('BiPer: sine and its derivative are the reference', () => {
  const z = tf.tensor1d(golden.z);
  const transform = createBiper(20);
  const [f, gradient] = [transform.forward(z, 0).dataSync(), transform.backward(z, tf.onesLike(z), 0).dataSync()];
  for (const [i, x] of (golden.z as number[]).entries()) {
    // float32 holds 20·z to 1.2e-7 relative, up to 40.
    expect(f[i], `f(${x})`).toBeCloseTo(golden.biper.f[i], 4.9);
    expect(gradient[i]! / 20, `f′(${x})`).toBeCloseTo(golden.biper.grad[i] / 20, 4.9);
  }
});

it('BiPer adds the derivative of τ·mean(sin²(ω·w))', () => {
  const rng = new Rng(9);
  const w = Array.from({ length: 12 }, () => 0.2 * rng.normal());
  const [frequency, tau] = [20, 0.037];
  const gradient = createBiper(frequency, tau)
    .backward(tf.tensor(w, [3, 4]), tf.zeros([3, 4]), 0)
    .dataSync();
  const loss = (at: number, by: number): number => {
    const squares = w.map((value, i) => Math.sin(frequency * (i === at ? value + by : value)) ** 2);
    return (tau * squares.reduce((a, b) => a + b, 0)) / w.length;
  };
  for (const i of w.keys()) expect(gradient[i]).toBeCloseTo((loss(i, 1e-6) - loss(i, -1e-6)) / 2e-6, 5);
});

describe.each([
  ['standardize', WEIGHT_TRANSFORMS[0].create(0, 1, {})],
  // At this τ nothing is clipped; the limit, a constant of the step, would not be one to finite differences.
  ['recu', createRecu(1 - 1e-9)],
  ['biper', createBiper()],
  ['biper of another frequency', createBiper(7)],
] as const)('the gradient through %s', (_, transform) => {
  it.each([0, 3])('equals finite differences, filters along dimension %i', (axis) => {
    const rng = new Rng(4);
    const shape = [3, 2, 2, 4];
    const w = Float32Array.from({ length: 48 }, () => 0.3 * rng.normal());
    const c = tf.tensor(
      Float32Array.from({ length: 48 }, () => rng.normal()),
      shape,
    );
    const gradient = transform.backward(tf.tensor(w, shape), c, axis).dataSync();
    const loss = (values: Float32Array) =>
      tf.tidy(() => tf.sum(tf.mul(transform.forward(tf.tensor(values, shape), axis), c)).dataSync()[0]!);
    for (const at of [0, 7, 20, 33, 47]) {
      const step = 1e-3;
      const moved = (delta: number) => w.map((value, i) => (i === at ? value + delta : value));
      const difference = (loss(moved(step)) - loss(moved(-step))) / (2 * step);
      expect(Math.abs(gradient[at]! - difference)).toBeLessThan(0.02 * Math.max(1, Math.abs(difference)));
    }
  });
});

describe.each(
  golden.adaste as { mu: number; alpha: number; g: number; theta: number[]; w_star: number[]; scale: number[] }[],
)('AdaSTE at μ = $mu, g = $g', ({ mu, g, theta, w_star: mapped, scale }) => {
  it('is the official map and scale in float64', () => {
    for (const [i, t] of theta.entries()) {
      expect(adasteMap(t, mu), `w*(${t})`).toBeCloseTo(mapped[i]!, 12);
      expect(adasteScale(t, g, mu), `s(${t})`).toBeCloseTo(scale[i]!, 12);
    }
  });

  it('and as tfjs operations in float32', () => {
    const t = tf.tensor1d(theta);
    const [map, gradient] = [
      adasteMapOf(t, mu).dataSync(),
      adasteGradient(t, tf.fill([theta.length], g), mu).dataSync(),
    ];
    for (const i of theta.keys()) {
      expect(Math.abs(map[i]! - mapped[i]!)).toBeLessThanOrEqual(2e-6);
      expect(Math.abs(gradient[i]! / Math.fround(g) - scale[i]!)).toBeLessThanOrEqual(2e-6);
    }
  });
});

it('AdaSTE’s μ grows as in the paper over 700 epochs and stops at 100', () => {
  expect(adasteMu(0, 700)).toBe(0.01);
  expect(adasteMu(10, 700)).toBeCloseTo(0.01 * 1.05 ** 10, 14);
  expect(adasteMu(699, 700)).toBe(100);
});

it('Bop follows the reference trace', () => {
  const { gamma, threshold, w0, trace } = golden.bop;
  let [w, m]: [tf.Tensor, tf.Tensor] = [tf.tensor1d([w0]), tf.tensor1d([0])];
  for (const step of trace) {
    [w, m] = bop(w, tf.tensor1d([step.g]), m, { gamma, threshold });
    expect(w.dataSync()[0]).toBe(step.w);
    expect(m.dataSync()[0]).toBeCloseTo(step.m, 6);
  }
});
