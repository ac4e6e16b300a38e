import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLOAT32_TOLERANCE, FLOAT64_TOLERANCE } from '../../src/core/numbers/tolerance.ts';
import { createReste, resteO } from '../../src/estimators/reste.ts';

const golden = JSON.parse(readFileSync(new URL('../golden/reste.json', import.meta.url), 'utf8'));

beforeAll(() => tf.setBackend('cpu'));

describe.each(golden.cases as { o: number; f: number[]; grad: number[]; grad_f32_official: number[] }[])(
  'ReSTE with o = $o',
  ({ o, f, grad, grad_f32_official: official }) => {
    const estimator = createReste(o, { t: golden.meta.t, m: golden.meta.m });

    it('has the surrogate and the slope of the closed form in float64', () => {
      for (const [i, z] of (golden.z as number[]).entries()) {
        expect(Math.abs(estimator.surrogate(z) - f[i]!)).toBeLessThanOrEqual(
          FLOAT64_TOLERANCE * Math.max(1, Math.abs(f[i]!)),
        );
        expect(Math.abs(estimator.factor(z) - grad[i]!)).toBeLessThanOrEqual(FLOAT64_TOLERANCE * Math.max(1, grad[i]!));
      }
    });

    it("has the official code's gradient as tfjs operations in float32", () => {
      const result = estimator.gradient(tf.tensor1d(golden.z), tf.ones([golden.z.length])).dataSync();
      for (const [i, expected] of official.entries()) {
        expect(Math.abs(result[i]! - expected)).toBeLessThanOrEqual(FLOAT32_TOLERANCE * Math.max(1, expected));
      }
    });
  },
);

it.each(golden.o_schedule as { epoch: number; epochs: number; o_end: number; o: number }[])(
  'o at epoch $epoch of $epochs with o_end $o_end is $o',
  ({ epoch, epochs, o_end: oEnd, o }) => {
    expect(Math.abs(resteO(epoch, epochs, oEnd) - o)).toBeLessThanOrEqual(FLOAT64_TOLERANCE);
  },
);

it('takes the inner branch for a float32 0.1, which is larger than the double 0.1', () => {
  expect(createReste(3).factor(Math.fround(0.1))).toBe(0.1 ** (-2 / 3));
});
