import { expect, it } from 'vitest';
import { formatCsv, formatLatex } from '../../src/tasks/compare-files.ts';
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
  return { version: 1, recipe: parseRecipe([]), seeds, tuning: null, environment: null, arms, isComplete: true };
}

it('what diverged is counted and named; differences are of the seeds that both have', () => {
  const { arms } = comparison();
  const { columns, rows, remarks } = comparisonTable(arms, { seeds, heldOut: false });
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
    ['a', '1', '', '0.5', 'complete'],
    ['a', '2', '', '0.6', 'complete'],
    ['a', '3', '', '0.7', 'complete'],
    ['b', '1', '0.1', '0.6', 'complete'],
    ['b', '3', '0.1', '0.8', 'complete'],
    ['b', '2', '0.1', '', 'diverged'],
    ...['1', '2', '3'].map((seed) => ['c', seed, '9', '', 'diverged']),
  ]);
  expect(new Set(rows.map(({ length }) => length))).toEqual(new Set([4 + MEASURES.length + 4]));
});

it('LaTeX says how many diverged', () => {
  const lines = formatLatex(comparison()).split('\n');
  expect(lines).toContain('b & $70.00$ $\\pm$ $14.14$ (1 of 3 diverged) & $+10.00$ & $[10.00, 10.00]$ & $<0.001$ \\\\');
  expect(lines).toContain('c & -- (3 of 3 diverged) & -- & -- & -- \\\\');
});
