import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, expect, it } from 'vitest';
import { registerNativeBackend } from '../../src/backends/native/register.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { createDsq } from '../../src/estimators/dsq.ts';
import type { Estimator } from '../../src/estimators/estimator.ts';
import { LearnedDsq } from '../../src/estimators/learned-dsq.ts';

const native = registerNativeBackend();

beforeAll(() => tf.setBackend('cpu'));

const rng = new Rng(4);
const x = Array.from({ length: 60 }, () => Math.fround(0.8 * rng.normal()));
const dy = Array.from({ length: 60 }, () => Math.fround(rng.normal()));

function layerOf(learned: LearnedDsq, name: string): Estimator {
  return learned.schedule.at(0, 1).forLayer!(name);
}

function runBackward(learned: LearnedDsq, name: string, gradient: readonly number[] = dy): Float32Array {
  return tf.tidy(() => {
    const estimator = layerOf(learned, name);
    return estimator.gradient(tf.tensor1d(x), tf.tensor1d([...gradient])).dataSync() as Float32Array;
  });
}

function alphasOf(learned: LearnedDsq): Record<string, number> {
  return Object.fromEntries([...learned.save()].map(([name, { data }]) => [name.slice(-1), Number(data[0])]));
}

/** Adam's first average after one step is a tenth of the gradient. */
async function alphaGradient(learned: LearnedDsq, name: string): Promise<number> {
  await learned.apply(1e-9, 1);
  return 10 * (learned.save().get(`dsq.weight.${name}`)!.data as Float32Array)[1]!;
}

it.each([0.02, 0.2, 0.45])(
  'α = %f: the gradient of z is that of a given α, that of α its finite difference',
  async (alpha) => {
    const learned = new LearnedDsq('weight', alpha);
    const gradient = runBackward(learned, 'a');
    const given = createDsq(Math.fround(alpha));
    for (const [i, z] of x.entries()) expect(gradient[i]).toBeCloseTo(dy[i]! * given.factor(z), 4);
    const sum = (at: number) => x.reduce((total, z, i) => total + dy[i]! * createDsq(at).surrogate(z), 0);
    const step = 1e-6;
    const expected = (sum(Math.fround(alpha) + step) - sum(Math.fround(alpha) - step)) / (2 * step);
    expect(Math.abs(expected)).toBeGreaterThan(0.1);
    expect(Math.abs((await alphaGradient(learned, 'a')) - expected)).toBeLessThan(1e-4 * Math.abs(expected));
    learned.dispose();
  },
);

it.skipIf(!native.ok)(
  `one kernel on native gives the same${native.ok ? '' : ` (skipped: ${native.reason})`}`,
  async () => {
    const on = async (backend: string, alpha: number) => {
      await tf.setBackend(backend);
      const learned = new LearnedDsq('weight', alpha);
      const gradient = runBackward(learned, 'a');
      const result = { gradient, sum: await alphaGradient(learned, 'a') };
      learned.dispose();
      return result;
    };
    try {
      for (const alpha of [0.001, 0.2, 0.5]) {
        const want = await on('cpu', alpha);
        const got = await on('native', alpha);
        expect(Math.abs(got.sum - want.sum)).toBeLessThan(1e-5 * Math.abs(want.sum));
        const peak = Math.max(...want.gradient.map(Math.abs));
        for (const [i, value] of want.gradient.entries()) {
          expect(Math.abs(got.gradient[i]! - value)).toBeLessThan(1e-6 * peak);
        }
      }
    } finally {
      await tf.setBackend('cpu');
    }
  },
);

it('gradients of several backward passes add up, those of layers do not mix', async () => {
  const [twice, once] = [new LearnedDsq('weight', 0.2), new LearnedDsq('weight', 0.2)];
  for (const name of ['a', 'a', 'b']) runBackward(twice, name);
  runBackward(once, 'a');
  runBackward(
    twice,
    'c',
    dy.map((value) => -value),
  );
  const one = await alphaGradient(once, 'a');
  await twice.apply(1e-3, 1);
  const averages = new Map([...twice.save()].map(([name, { data }]) => [name, 10 * (data as Float32Array)[1]!]));
  expect(averages.get('dsq.weight.a')).toBeCloseTo(2 * one, 3);
  expect(averages.get('dsq.weight.b')).toBeCloseTo(one, 3);
  const { a, b, c } = alphasOf(twice);
  // Adam's first step has the size of the learning rate, whatever the gradient's.
  expect(a).toBeCloseTo(0.2 - 1e-3 * Math.sign(one), 6);
  expect(b).toBeCloseTo(a!, 6);
  expect(c).toBeCloseTo(0.2 + 1e-3 * Math.sign(one), 6);
  expect(layerOf(twice, 'a').factor(0.3)).toBe(createDsq(a!).factor(0.3));
});

it('α stays in its range, and moves by 0.001 at most', async () => {
  const learned = new LearnedDsq('weight', 0.499);
  runBackward(learned, 'a');
  runBackward(
    learned,
    'b',
    dy.map((value) => -value),
  );
  await learned.apply(0.1, 1);
  const alphas = Object.values(alphasOf(learned)).sort();
  expect(alphas[0]).toBeCloseTo(0.498, 6);
  expect(alphas[1]).toBe(0.5);
});

it('continues from what it saved as if never stopped', async () => {
  const whole = new LearnedDsq('weight', 0.2);
  const stopped = new LearnedDsq('weight', 0.2);
  for (const learned of [whole, stopped]) {
    runBackward(learned, 'a');
    await learned.apply(1e-3, 1);
  }
  const resumed = new LearnedDsq('weight', 0.2);
  resumed.restore(new Map([...stopped.save(), ...new LearnedDsq('activation', 0.3).save()]));
  for (const learned of [whole, resumed]) {
    runBackward(learned, 'a');
    await learned.apply(1e-3, 2);
  }
  expect(resumed.save()).toEqual(whole.save());
  expect(alphasOf(resumed)).not.toEqual(alphasOf(stopped));
});

it('leaves no tensors behind', async () => {
  const before = tf.memory().numTensors;
  const learned = new LearnedDsq('weight', 0.2);
  runBackward(learned, 'a');
  await learned.apply(1e-3, 1);
  runBackward(learned, 'a');
  expect(tf.memory().numTensors).toBe(before + 1);
  learned.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
