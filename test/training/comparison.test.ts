import { expect, it } from 'vitest';
import { mean, spreadOf, standardDeviation } from '../../src/core/statistics.ts';
import { createArms, runName, summarizeArm, summarizeRun } from '../../src/training/comparison.ts';
import { createEstimators } from '../../src/training/create-estimators.ts';
import type { EpochRecord } from '../../src/training/history-io.ts';
import { ESTIMATORS, parseRecipe } from '../../src/training/recipe.ts';

function record(epoch: number, testTop1: number, validationTop1: number | null = null): EpochRecord {
  return {
    ...{ epoch, testTop1, validationTop1, trainLoss: 1 / epoch, trainTop1: 0.5, testLoss: 1 },
    ...{ lr: 0.1, o: null, seconds: 2, imagesPerSecond: 100, waitShare: 0 },
  };
}

it('mean and standard deviation of known samples', () => {
  // Textbook example: 2 4 4 4 5 5 7 9 has Σ(x − 5)² = 32.
  const sample = [2, 4, 4, 4, 5, 5, 7, 9];
  expect(mean(sample)).toBe(5);
  expect(standardDeviation(sample)).toBeCloseTo(Math.sqrt(32 / 7), 14);
  expect(spreadOf([3])).toEqual({ n: 1, mean: 3, std: null });
  expect(spreadOf([])).toBeNull();
});

it('arms: estimators, the sweep, and both at several learning rates', () => {
  const arms = createArms({ estimators: ['ste'], oEnds: [1, 3], lrs: [0.1, 0.2] });
  expect(arms.map(({ name }) => name)).toEqual([
    ...['ste lr=0.1', 'reste o=1 lr=0.1', 'reste o=3 lr=0.1'],
    ...['ste lr=0.2', 'reste o=1 lr=0.2', 'reste o=3 lr=0.2'],
  ]);
  expect(arms[4]).toEqual({
    name: 'reste o=1 lr=0.2',
    overrides: { estimator: 'reste', oEnd: 1, lr: 0.2 },
    oEnd: 1,
  });
  expect(runName(arms[4]!, 7)).toBe('reste-o-1-lr-0.2-seed-7');
});

it('every estimator can be an arm: AdaSTE, which is for weights, has clipped activations', () => {
  for (const arm of createArms({ estimators: ESTIMATORS, oEnds: [], lrs: [] })) {
    const { at } = createEstimators(parseRecipe([arm.overrides]));
    expect(at(0).weightEstimator.name).toBe(arm.name === 'ste-identity' ? 'ste' : arm.name);
    expect(at(0).activationEstimator.name).toBe(arm.name === 'adaste' ? 'ste' : at(0).weightEstimator.name);
  }
});

it('refuses nothing and twice the same', () => {
  expect(() => createArms({ estimators: [], oEnds: [], lrs: [] })).toThrow('nothing to compare');
  expect(() => createArms({ estimators: ['ste', 'ste'], oEnds: [], lrs: [] })).toThrow('with itself');
});

it('accuracy is that of the last epoch, or of the best by validation, never the best by test', () => {
  expect(summarizeRun(1, [record(1, 0.9), record(2, 0.7)])).toMatchObject({ testTop1: 0.7, epochs: 2, seconds: 4 });
  const held = [record(1, 0.6, 0.5), record(2, 0.8, 0.7), record(3, 0.9, 0.7), record(4, 0.95, 0.6)];
  expect(summarizeRun(1, held).testTop1).toBe(0.8);
  expect(summarizeRun(1, held).estimatingError).toBeNull();
});

it('the paper’s run summary: mean of the errors, sum of the stabilities', () => {
  const indicators = (estimatingError: number, gradientVariance: number) => ({
    ...{ estimatingError, gradientVariance, errorPerWeight: 1, gradientVariation: 2, flipRatio: 0.1 },
    ...{ stepFlipRate: 0.01, oscillation: 0.2, neverFlipped: 0.7, firstSignCorrelation: 0.6 },
    ...{ signEntropy: 0.9, labelInformation: 0.01, deadChannels: 1, preSignGap: null, layers: [] },
  });
  const run = summarizeRun(1, [
    { ...record(1, 0.5), indicators: indicators(10, 1) },
    { ...record(2, 0.5), indicators: indicators(20, 3) },
  ]);
  expect(run).toMatchObject({ estimatingError: 15, gradientVariance: 4, gradientVariation: 2, signEntropy: 0.9 });
});

it('differences are between runs of the same seed', () => {
  const [first, second] = createArms({ estimators: ['ste', 'reste'], oEnds: [], lrs: [] });
  const runs = (values: number[]) => values.map((top1, i) => summarizeRun(i + 1, [record(1, top1)]));
  const baseline = runs([0.5, 0.7]);
  expect(summarizeArm(first!, baseline, null).difference).toBeNull();
  const { difference, spread } = summarizeArm(second!, runs([0.6, 0.8, 0.9]), baseline);
  expect(difference?.n).toBe(2);
  expect(difference?.mean).toBeCloseTo(0.1, 12);
  expect(difference?.std).toBeCloseTo(0, 12);
  expect(spread.testTop1?.n).toBe(3);
  expect(spread.estimatingError).toBeNull();
});
