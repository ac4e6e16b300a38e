import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { registerNativeBackend } from '../../src/backends/native/register.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import type { Estimator } from '../../src/estimators/estimator.ts';
import { ESTIMATORS, type EstimatorRow } from '../../src/estimators/table.ts';
import { softmaxCrossEntropy } from '../../src/training/learning/loss.ts';
import { createEstimators } from '../../src/training/program/create-estimators.ts';
import { Program } from '../../src/training/program/program.ts';
import { signGradient } from '../../src/training/program/sign-gradients.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

const native = registerNativeBackend();
const NAMES = ESTIMATORS.filter((row: EstimatorRow) => row.hasNoOneSize !== true).map(({ name }) => name);
const of = (estimator: string, slopePeak: number, epoch: number) =>
  createEstimators(parseRecipe([{ estimator, slopePeak, epochs: 10 }])).at(epoch);

describe.each(NAMES)('%s', (name) => {
  it.each([0, 5, 9])('has its largest slope at 0, which becomes the peak, and the same shape, in epoch %i', (epoch) => {
    for (const role of ['weightEstimator', 'activationEstimator'] as const) {
      const [plain, scaled] = [of(name, 0, epoch)[role], of(name, 2, epoch)[role]];
      expect(scaled.factor(0)).toBeCloseTo(2, 12);
      for (let z = -2; z <= 2; z += 0.01) {
        expect(Math.abs(plain.factor(z))).toBeLessThanOrEqual(plain.factor(0) * (1 + 1e-12));
        expect(scaled.factor(z) * plain.factor(0)).toBeCloseTo(2 * plain.factor(z), 9);
      }
    }
  });
});

describe.each(['cpu', ...(native.ok ? ['native'] : [])])('%s', (backend) => {
  beforeAll(() => tf.setBackend(backend));

  it.each(NAMES)('%s: the gradient is scaled, and kernels give that of plain operations', (name) => {
    const rng = new Rng(2);
    const draw = (count: number) => Float32Array.from({ length: count }, () => 0.7 * rng.normal());
    const [plain, scaled] = [of(name, 0, 5).activationEstimator, of(name, 3, 5).activationEstimator];
    const [x, dy] = [tf.tensor1d(draw(500)), tf.tensor1d(draw(500))];
    const before = Array.from(signGradient(x, dy, plain).dataSync());
    const after = signGradient(x, dy, scaled).dataSync();
    const largest = Math.max(...before.map(Math.abs));
    for (const [i, value] of before.entries()) {
      expect(Math.abs((after[i]! * plain.factor(0)) / 3 - value)).toBeLessThan(3e-6 * largest);
    }
  });

  it.each(['reste', 'ede'] as const)('%s: so it is inside a binary convolution', (name) => {
    const program = new Program(buildModel('binarynet-mini', { seed: 3, imageSize: 9 }), { explicitPadding: true });
    const estimator = of(name, 3, 5).activationEstimator;
    const x = tf.randomNormal([4, 9, 9, 1], 0, 1, 'float32', 5);
    const gradient = (activationEstimator: Estimator) => {
      const settings = { weightEstimator: of('ste', 0, 5).weightEstimator, activationEstimator };
      const { gradients } = program.differentiate(x, settings, (logits) => {
        const { dlogits } = softmaxCrossEntropy(logits, tf.tensor1d([1, 2, 3, 4], 'int32'), 0);
        return { loss: 0, dlogits };
      });
      return Array.from(gradients.get('conv1.weight')!.dataSync());
    };
    const plainOperations: Estimator = { ...estimator, attributes: null };
    const [fused, expected] = [gradient(estimator), gradient(plainOperations)];
    const largest = Math.max(...expected.map(Math.abs));
    for (const [i, value] of expected.entries()) expect(Math.abs(fused[i]! - value)).toBeLessThan(1e-4 * largest);
  });
});

it.each([
  [{ estimator: 'dsq-learned' }, 'the slope of dsq-learned has no one size'],
  [{ estimator: 'ste', weightEstimator: 'adaste' }, 'the slope of adaste has no one size'],
])('%j has none', (recipe, message) => {
  expect(() => createEstimators(parseRecipe([{ ...recipe, slopePeak: 1 }]))).toThrow(message);
});
