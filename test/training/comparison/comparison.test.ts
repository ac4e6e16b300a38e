import { describe, expect, it } from 'vitest';
import { mean, spreadOf, standardDeviation } from '../../../src/core/numbers/statistics.ts';
import { namesOf } from '../../../src/core/row-named.ts';
import { ESTIMATORS } from '../../../src/estimators/table.ts';
import {
  assertNoTwins,
  bestRate,
  createArms,
  runName,
  summarizeArms,
  summarizeRun,
} from '../../../src/training/comparison/comparison.ts';
import { contrastOf, correctTogether, disagreementOf } from '../../../src/training/comparison/contrast.ts';
import { createEstimators } from '../../../src/training/program/create-estimators.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import type { RecipeInput } from '../../../src/training/recipes/recipe.ts';
import type { EpochRecord } from '../../../src/training/sessions/history-io.ts';

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
  for (const arm of createArms({ estimators: namesOf(ESTIMATORS), oEnds: [], lrs: [] })) {
    const { at } = createEstimators(parseRecipe([arm.overrides]));
    expect(at(0).weightEstimator.name).toBe(arm.name === 'ste-identity' ? 'ste' : arm.name);
    expect(at(0).activationEstimator.name).toBe(arm.name === 'adaste' ? 'ste' : at(0).weightEstimator.name);
  }
});

it('values with commas stand in quotes, and no field is lost', () => {
  const specs = (...texts: string[]) => createArms({ estimators: [], oEnds: [], lrs: [], specs: texts });
  const [arm] = specs('a: init="/data/a,b=c.onnx" ,lr=0.1,');
  expect(arm?.overrides).toEqual({ init: '/data/a,b=c.onnx', lr: 0.1 });
  expect(() => specs('a:data="x,y"')).toThrow('data cannot differ between arms');
  expect(() => specs('a:lr=0.1,"x')).toThrow('""x" is no FIELD=VALUE');
  expect(() => specs('a:__proto__=1')).toThrow(/__proto__/);
});

it('a rate of its own and rates for all are one too many', () => {
  const choice = { estimators: ['ste'], oEnds: [], specs: ['b:estimator=ste,lr=.01'] };
  expect(() => createArms({ ...choice, lrs: [0.1] })).toThrow('arm "b" has a learning rate');
  expect(createArms({ ...choice, lrs: [] })).toHaveLength(2);
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
  const [one, two] = summarizeArms([
    { arm: first!, tuning: null, diverged: [], runs: baseline },
    { arm: second!, tuning: null, diverged: [], runs: runs([0.6, 0.8, 0.9]) },
  ]);
  expect(one!.difference).toBeNull();
  const { difference, spread } = two!;
  expect(difference?.n).toBe(2);
  expect(difference?.mean).toBeCloseTo(0.1, 12);
  expect(difference?.std).toBeCloseTo(0, 12);
  expect(spread.testTop1?.n).toBe(3);
  expect(spread.estimatingError).toBeNull();
});

describe('arms over any fields', () => {
  const only = (...specs: string[]) => createArms({ estimators: [], oEnds: [], lrs: [], specs });

  it('values are what the fields hold; names may have what names have', () => {
    expect(only('base:', 'w/o clip: clampWeights=0, flip=true,weight-estimator=ste,init=runs/a=b')).toEqual([
      { name: 'base', overrides: {}, oEnd: null },
      {
        name: 'w/o clip',
        overrides: { clampWeights: 0, flip: true, weightEstimator: 'ste', init: 'runs/a=b' },
        oEnd: null,
      },
    ]);
  });

  it.each([
    ['lr=0.1', '"lr=0.1" is no arm'],
    [':lr=0.1', 'is no arm'],
    ['a:lr', '"lr" is no FIELD=VALUE'],
    ['a:lr=fast', 'lr is "fast", expected a number'],
    ['a:lr=', 'lr is "", expected a number'],
    ['a:flip=1', 'flip is "1", expected true or false'],
    ['a:rate=1', 'unknown recipe field "rate"'],
    ['a:constructor=1', 'unknown recipe field "constructor"'],
    ['a:lr=1,lr=2', 'lr is given twice'],
    ['a:seed=3', 'seed cannot differ between arms'],
    ['a:dataset=mnist', 'dataset cannot differ'],
    ['a:split=0.3', 'split cannot differ between arms'],
    ['a:limit-test=9', 'limitTest cannot differ between arms'],
    ['a:brokenImages=skip', 'brokenImages cannot differ between arms'],
    ['a:teacher-sha256=00', 'teacherSha256 cannot differ between arms'],
  ])('%s', (spec, message) => {
    expect(() => only(spec)).toThrow(
      expect.objectContaining({ code: 'E_USAGE', message: expect.stringContaining(message) }),
    );
  });

  it.each([
    [['lr+:lr=1', 'lr-:lr=2'], 'the arms "lr+" and "lr-" would share their runs, in folders lr--seed-…'],
    [['wide:lr=1', 'Wide:lr=2'], 'the arms "wide" and "Wide" would share their runs'],
    [['breite ä:', 'breite ö:lr=2'], 'the arms "breite ä" and "breite ö" would share their runs'],
    [['основа:', 'b:lr=2'], 'the name of arm "основа" leaves nothing'],
    [['_.:'], 'the name of arm "_." leaves nothing'],
  ])('%j have no folders of their own', (specs, message) => {
    expect(() => only(...specs)).toThrow(
      expect.objectContaining({ code: 'E_USAGE', message: expect.stringContaining(message) }),
    );
  });

  it('the same training by two names is refused', () => {
    const twins =
      (recipe: RecipeInput, ...specs: string[]) =>
      () =>
        assertNoTwins(parseRecipe([recipe]), only(...specs));
    expect(twins({}, 'a:', 'b:lr=0.005')).toThrow('the arms "a" and "b" are the same training');
    expect(twins({}, 'a:estimator=ste', 'b:estimator=reste,weightEstimator=ste,activationEstimator=ste')).toThrow(
      'same',
    );
    expect(twins({ weightEstimator: 'ste', activationEstimator: 'ede' }, 'a:estimator=fda', 'b:estimator=dsq')).toThrow(
      'same',
    );
    expect(twins({}, 'a:', 'b:lr=0.006')).not.toThrow();
    // What changes nothing that is learned makes no other arm.
    for (const same of ['checkpointMinutes=3', 'indicators=true', 'threads=1']) {
      expect(twins({}, 'a:', `b:${same}`)).toThrow('same');
    }
  });
});

describe('contrasts', () => {
  const first = [0.701, 0.699, 0.708, 0.69, 0.713];
  const these = [0.712, 0.698, 0.721, 0.705, 0.717];
  const differences = these.map((value, i) => value - first[i]!);

  it('are those of scipy.stats.ttest_rel 1.17.1, with its confidence interval', () => {
    const contrast = contrastOf(differences, 1)!;
    expect(contrast.std).toBeCloseTo(0.00669328021227261, 12);
    expect(contrast.p).toBeCloseTo(0.04850207488314684, 12);
    expect(contrast.interval![0]).toBeCloseTo(8.919493053145995e-5, 12);
    expect(contrast.interval![1]).toBeCloseTo(0.016710805069468558, 12);
    // The noncentrality at which a t test at t.ppf(0.975, 4) has a power of 0.8, by scipy.
    expect(contrast.detectable).toBeCloseTo((3.761059553825019 * 0.00669328021227261) / Math.sqrt(5), 9);
    expect(contrastOf(differences, 3)!.detectable).toBeGreaterThan(contrast.detectable!);
  });

  it('of few runs say no more than they can', () => {
    expect(contrastOf([], 1)).toBeNull();
    expect(contrastOf([0.1], 1)).toMatchObject({ n: 1, std: null, interval: null, p: null, detectable: null });
    // Of 1,000 test pictures; a few seeds may well differ by the same number of them.
    for (const same of [0, 0.003, 0.1 + 0.2]) {
      const none = { mean: expect.closeTo(same, 12), interval: null, p: null, detectable: null };
      expect(contrastOf([same, same, same], 1)).toMatchObject(none);
    }
  });

  it('are corrected together', () => {
    const contrasts = [null, contrastOf(differences, 2), contrastOf([0.1, 0.1001, 0.0999], 2), contrastOf([0.1], 2)];
    const corrected = correctTogether(contrasts);
    expect(corrected[0]).toBeNull();
    expect(corrected[1]!.holmP).toBeCloseTo(0.04850207488314684, 12);
    expect(corrected[2]!.holmP).toBeCloseTo(2 * contrasts[2]!.p!, 12);
    expect(corrected[3]!.holmP).toBeNull();
  });

  it('two networks on the same pictures', () => {
    const labels = [0, 1, 2, 3, 4];
    const first = { labels, predictions: [0, 9, 9, 3, -1] };
    expect(disagreementOf(4, { labels, predictions: [0, 1, 2, 9, -1] }, first)).toEqual({
      seed: 4,
      onlyThis: 2,
      onlyFirst: 1,
      p: expect.closeTo(1, 12),
    });
    expect(disagreementOf(4, { labels: [0, 1], predictions: [0, 1] }, first)).toBeNull();
    expect(disagreementOf(4, { labels: [0, 1, 2, 4, 3], predictions: [0, 1, 2, 9, -1] }, first)).toBeNull();
  });

  it('the best learning rate is the first of the best', () => {
    const tried = [0.1, 0.2, 0.3].map((lr, i) => ({ lr, validationTop1: [0.5, 0.6, 0.6][i]! }));
    expect(bestRate(tried)).toBe(0.2);
    const diverged = { lr: 0.01, validationTop1: null };
    expect(bestRate([diverged, ...tried, diverged])).toBe(0.2);
    expect(bestRate([diverged])).toBeNull();
  });
});
