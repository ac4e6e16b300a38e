import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { approxSignSchedule } from '../../../src/estimators/approx-sign.ts';
import { LearnedDsq } from '../../../src/estimators/learned-dsq.ts';
import { createEstimators } from '../../../src/training/program/create-estimators.ts';
import { dividedSchedule } from '../../../src/training/program/divided-activations.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';

beforeAll(() => tf.setBackend('cpu'));

const [COUNT, SIZE] = [2, 12];
const rng = new Rng(3);
/** Two pictures of different spread. */
const x = Array.from({ length: COUNT * SIZE }, (_, i) => (i < SIZE ? 0.4 : 3) * rng.normal() + 0.1);
const dy = x.map(() => rng.normal());

function deviationOf(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1) + 1e-5);
}

/** Σ dy·f(x/σ) with the surrogate of ApproxSign, f = 2a − a|a| up to ±1. @param fixed  where σ is that of other values. */
function loss(values: readonly number[], fixed?: readonly number[]): number {
  return values.reduce((sum, v, i) => {
    const picture = Math.floor(i / SIZE) * SIZE;
    const a = v / deviationOf((fixed ?? values).slice(picture, picture + SIZE));
    return sum + dy[i]! * (Math.abs(a) < 1 ? 2 * a - a * Math.abs(a) : Math.sign(a));
  }, 0);
}

const gradientOf = (deviation: 'none' | 'through' | 'constant') => {
  const estimator = dividedSchedule(approxSignSchedule(), deviation).at(0, 1);
  const shape = [COUNT, 2, 2, 3];
  return Array.from(estimator.gradient(tf.tensor(x, shape), tf.tensor(dy, shape)).dataSync());
};

describe('activations divided by their deviation', () => {
  it.each(['through', 'constant'] as const)('%s: the gradient equals difference quotients', (deviation) => {
    const found = gradientOf(deviation);
    for (const i of x.keys()) {
      const moved = (by: number) => x.map((v, k) => (k === i ? v + by : v));
      const at = (by: number) => loss(moved(by), deviation === 'constant' ? x : undefined);
      expect(found[i]).toBeCloseTo((at(1e-6) - at(-1e-6)) / 2e-6, 4);
    }
    expect(found).not.toEqual(gradientOf('none'));
  });

  it('a recipe has it for activations alone, and for each layer where an estimator learns', () => {
    const recipe = parseRecipe([{ estimator: 'approx-sign', activationDeviation: 'through' }]);
    const { weightEstimator, activationEstimator } = createEstimators(recipe).at(0);
    const [t, d] = [tf.tensor(x, [COUNT, 12]), tf.tensor(dy, [COUNT, 12])];
    expect(Array.from(activationEstimator.gradient(t, d).dataSync())).toEqual(gradientOf('through'));
    expect(Array.from(weightEstimator.gradient(t, d).dataSync())).toEqual(gradientOf('none'));
    const learned = new LearnedDsq('activation', 0.2);
    const layer = dividedSchedule(learned.schedule, 'through').at(0, 1).forLayer?.('one');
    expect(layer?.gradient(t, d).shape).toEqual([COUNT, 12]);
    expect(learned.save().size).toBe(1);
    learned.dispose();
  });

  it('weights and activations have clip bounds of their own', () => {
    const both = createEstimators(parseRecipe([{ estimator: 'ste', steClip: 1.25 }])).at(0);
    expect([both.weightEstimator.factor(1.2), both.activationEstimator.factor(1.2)]).toEqual([1, 1]);
    const apart = createEstimators(parseRecipe([{ estimator: 'ste', steClip: 1.25, steClipWeights: 0.5 }])).at(0);
    expect([apart.weightEstimator.factor(0.5), apart.weightEstimator.factor(0.6)]).toEqual([1, 0]);
    expect([apart.activationEstimator.factor(1.25), apart.activationEstimator.factor(1.3)]).toEqual([1, 0]);
  });
});
