import { expect, it } from 'vitest';
import { formatCsv, formatLatex } from '../../src/tasks/compare-files.ts';
import { plotTitles } from '../../src/tasks/compare-plot.ts';
import { comparisonTable } from '../../src/tasks/compare-table.ts';
import {
  type ArmResult,
  createArms,
  MEASURES,
  summarizeArms,
  summarizeRun,
} from '../../src/training/comparison/comparison.ts';
import type { Comparison } from '../../src/training/comparison/run-comparison-io.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import type { EpochRecord } from '../../src/training/sessions/history-io.ts';

const seeds = [1, 2, 3];

function run(seed: number, testTop1: number) {
  const record: EpochRecord = {
    ...{ epoch: 1, testTop1, validationTop1: null, trainLoss: 1, trainTop1: 0.5, testLoss: 1 },
    ...{ lr: 0.1, o: null, seconds: 2, imagesPerSecond: 100, waitShare: 0 },
  };
  return summarizeRun(seed, [record]);
}

/** Three arms, of which the second diverged with one seed, and with one of three rates; the third with all seeds. */
function comparison(): Comparison {
  const [a, b, c] = createArms({ estimators: [], oEnds: [], lrs: [], specs: ['a:', 'b:lr=0.1', 'c:lr=9'] });
  const message = 'the loss became NaN in epoch 1, batch 2';
  const tuning = [0.05, 0.1, 0.5].map((lr) => ({ lr, validationTop1: lr > 0.1 ? null : lr }));
  const arms = summarizeArms([
    { arm: a!, tuning: null, diverged: [], runs: [run(1, 0.5), run(2, 0.6), run(3, 0.7)] },
    { arm: b!, tuning, diverged: [{ seed: 2, message }], runs: [run(1, 0.6), run(3, 0.8)] },
    { arm: c!, tuning: null, diverged: seeds.map((seed) => ({ seed, message })), runs: [] },
  ]).map((arm): ArmResult => ({ ...arm, disagreements: [] }));
  const notes = ['the runs were made with different precisions: bf16 (1), float32 (5)'];
  const recipe = parseRecipe([]);
  return { version: 1, recipe, seeds, tuning: null, judge: 'test', environment: null, arms, notes, isComplete: true };
}

it('what diverged is counted and named; differences are of the seeds that both have', () => {
  const { arms, notes } = comparison();
  const { columns, rows, remarks } = comparisonTable(arms, { seeds, heldOut: false, notes });
  const titles = columns.map(({ title }) => title);
  const at = (row: number, title: string) => rows[row]![titles.indexOf(title)];
  expect([0, 1, 2].map((row) => [at(row, 'n'), at(row, 'diverged'), at(row, 'test %')])).toEqual([
    ['3', '-', '60.00 ± 10.00'],
    ['2', '1', '70.00 ± 14.14'],
    ['0', '3', '-'],
  ]);
  expect([arms[1]!.difference?.n, at(1, 'less the first'), at(2, 'less the first')]).toEqual([2, '+10.00 ± 0.00', '-']);
  expect(remarks.filter((remark) => remark.includes('diverged'))).toEqual([
    expect.stringMatching(/^b: training diverged with seed 2; left out of means and differences/),
    'b: training diverged with learning rate 0.5',
    expect.stringMatching(/^c: training diverged with seed 1, 2, 3; left out/),
  ]);
  // Two seeds that differ by the same are no proof.
  expect(remarks).toContain('b: the difference is the same with every seed, so nothing tells how sure it is');
  expect(remarks[0]).toMatch(/^mean ± standard deviation over the n of 3 seeds that an arm has;/);
  expect(remarks).toContain(notes[0]);
  // The best rate is the highest with a result, but a higher one was tried.
  expect(remarks.filter((remark) => remark.includes('at the end'))).toEqual([]);
  expect(comparisonTable(arms.slice(0, 1), { seeds, heldOut: false }).columns.map(({ title }) => title)).not.toContain(
    'diverged',
  );
});

it('the CSV has a row for each run, also for one that diverged', () => {
  const rows = formatCsv(comparison())
    .trimEnd()
    .split('\r\n')
    .map((line) => line.split(','));
  expect(rows.map(([arm, seed, , lr, top1, ...rest]) => [arm, seed, lr, top1, rest.at(-1)])).toEqual([
    ['arm', 'seed', 'lr', 'testTop1', 'outcome'],
    ['a', '1', '0.005', '0.5', 'complete'],
    ['a', '2', '0.005', '0.6', 'complete'],
    ['a', '3', '0.005', '0.7', 'complete'],
    ['b', '1', '0.1', '0.6', 'complete'],
    ['b', '3', '0.1', '0.8', 'complete'],
    ['b', '2', '0.1', '', 'diverged'],
    ...['1', '2', '3'].map((seed) => ['c', seed, '9', '', 'diverged']),
  ]);
  expect(new Set(rows.map(({ length }) => length))).toEqual(new Set([4 + MEASURES.length + 4]));
});

it('LaTeX says how many diverged', () => {
  const lines = formatLatex(comparison()).split('\n');
  expect(lines).toContain('b & $70.00$ $\\pm$ $14.14$ (1 of 3 diverged) & $+10.00$ & -- & -- \\\\');
  expect(lines).toContain('c & -- (3 of 3 diverged) & -- & -- & -- \\\\');
});

it('says of which methods an arm has the slope alone, and of which networks sums do not compare', () => {
  const specs = [
    'ste:estimator=ste',
    'ede:estimator=ede',
    'fda:activationEstimator=fda',
    'whole:estimator=ede,weightTransform=standardize',
  ];
  const arms = createArms({ estimators: [], oEnds: [], lrs: [], specs });
  const remarksOf = (epochs: readonly number[]) => {
    const trained = arms.map((arm, i) => ({
      ...{ arm, tuning: null, diverged: [] },
      runs: seeds.map((seed) => ({
        ...run(seed, 0.5 + seed / 10 ** (i + 2)),
        epochs: epochs[i]!,
        gradientVariance: 1,
      })),
    }));
    return comparisonTable(summarizeArms(trained), { seeds, heldOut: false }).remarks;
  };
  expect(remarksOf([3, 3, 3, 3]).slice(-1)).toEqual([
    'of the methods behind ede, fda it is the slope alone; what belongs to them besides: docs/methods.md',
  ]);
  expect(remarksOf([3, 3, 2, 3]).slice(-2)[0]).toMatch(/^stability s is a sum over epochs/);
});

it('the plot says what was trained on, and at which rate', () => {
  const whole = comparison();
  const recipe = parseRecipe([{ limitTrain: 20_000, validation: 5000, lr: 0.03 }]);
  expect(plotTitles({ ...whole, recipe }).subtitle).toContain('15,000 pictures');
  expect(plotTitles({ ...whole, recipe }).subtitle).toContain('lr of each arm');
  expect(plotTitles({ ...whole, recipe, arms: whole.arms.slice(0, 1) }).subtitle).toContain('lr 0.03');
});

it('by held-out pictures the test set is not shown', () => {
  const arms = createArms({ estimators: [], oEnds: [], lrs: [], specs: ['a:', 'b:lr=0.1'] });
  const held = (seed: number, validationTop1: number) => ({ ...run(seed, 0.9), validationTop1 });
  const summarized = summarizeArms(
    [
      { arm: arms[0]!, tuning: null, diverged: [], runs: [held(1, 0.5), held(2, 0.52), held(3, 0.54)] },
      { arm: arms[1]!, tuning: null, diverged: [], runs: [held(1, 0.51), held(2, 0.54), held(3, 0.55)] },
    ],
    'held-out',
  );
  const options = { seeds, heldOut: true, judge: 'held-out' } as const;
  const { columns, rows, remarks } = comparisonTable(summarized, options);
  const titles = columns.map(({ title }) => title);
  expect(titles).toContain('held-out %');
  expect(titles).not.toContain('test %');
  expect(rows[1]!.slice(2, 4)).toEqual(['53.33 ± 2.08', '+1.33 ± 0.58']);
  expect(remarks[0]).toContain('accuracy on held-out pictures of the epoch that is best on the held-out pictures');
  const whole = {
    ...comparison(),
    judge: 'held-out' as const,
    arms: summarized.map((arm) => ({ ...arm, disagreements: [] })),
  };
  expect(formatLatex(whole)).toContain('arm & held-out accuracy');
  expect(formatLatex(whole)).toContain('b & $53.33$ $\\pm$ $2.08$ & $+1.33$');
  expect(plotTitles(whole).colorLabel).toBe('held-out accuracy');
});
