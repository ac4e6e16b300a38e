/** `history.csv` and `curves.svg` of a run folder. */

import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { defaultRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { type EpochRecord, readHistory } from '../../../src/training/sessions/history-io.ts';
import { historyCsv, runCurves } from '../../../src/training/sessions/run-views-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

const RECIPE = { limitTrain: 12, limitTest: 4, epochs: 2, batchSize: 4, backend: 'cpu', lr: 0.01 } as const;

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-views-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Cells by column name, one object a row. */
function readCsv(text: string): Record<string, string>[] {
  const [head = [], ...rows] = text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
  return rows.map((row) => Object.fromEntries(head.map((name, i) => [name, row[i] ?? ''])));
}

it('are there after each epoch and hold the numbers of history.jsonl', async () => {
  const out = join(folder, 'new');
  const seen: number[] = [];
  await train(
    { ...RECIPE, indicators: true },
    {
      out,
      onTested: async () => void seen.push((await readdir(out)).filter((name) => /\.(csv|svg)$/.test(name)).length),
    },
  );
  expect(seen).toEqual([0, 2]);
  const records = await readHistory(join(out, 'history.jsonl'));
  const rows = readCsv(await readFile(join(out, 'history.csv'), 'utf8'));
  expect(rows).toHaveLength(2);
  for (const [i, record] of records.entries()) {
    expect(Number(rows[i]!['testTop1'])).toBe(record.testTop1);
    expect(Number(rows[i]!['trainLoss'])).toBe(record.trainLoss);
    expect(Number(rows[i]!['flipRatio'])).toBe(record.indicators!.flipRatio);
    expect(rows[i]!['validationTop1']).toBe('');
  }
  const svg = await readFile(join(out, 'curves.svg'));
  expect((await sharp(svg).metadata()).width).toBe(784);
  expect(svg.toString()).toContain('weights that changed their sign');
  expect((await readdir(out)).sort()).toEqual([
    'best',
    'curves.svg',
    'history.csv',
    'history.jsonl',
    'last',
    'recipe.json',
  ]);
});

it('are continued by a resumed run, and made anew where they were lost', async () => {
  const out = join(folder, 'stopped');
  const stop = new AbortController();
  await train(RECIPE, { out, signal: stop.signal, onEpoch: () => stop.abort() });
  await rm(join(out, 'curves.svg'));
  await rm(join(out, 'history.csv'));
  const before: string[] = [];
  await train(RECIPE, {
    out,
    resume: true,
    onStep: async () => void before.push(await readFile(join(out, 'history.csv'), 'utf8')),
  });
  expect(readCsv(before[0] ?? '').map(({ epoch }) => epoch)).toEqual(['1']);
  const whole = await readFile(join(out, 'history.csv'), 'utf8');
  expect(readCsv(whole).map(({ epoch }) => epoch)).toEqual(['1', '2']);
  // Of a run that is complete, too.
  await rm(join(out, 'history.csv'));
  await train(RECIPE, { out, resume: true });
  expect(await readFile(join(out, 'history.csv'), 'utf8')).toBe(whole);
});

it('a run does not end for want of them', async () => {
  const out = join(folder, 'in-the-way');
  await mkdir(join(out, 'curves.svg', 'x'), { recursive: true });
  const notes: string[] = [];
  const { epochs } = await train(RECIPE, { out, onNote: (note) => notes.push(note) });
  expect(epochs).toBe(2);
  expect(notes).toEqual([expect.stringMatching(/curves\.svg is not kept up to date: /)]);
});

it('a loss that is no number is an empty cell and a gap', () => {
  const record = { epoch: 1, trainLoss: 1, trainTop1: 0.5, testLoss: null, testTop1: 0.1, validationTop1: null };
  const diverged = {
    ...record,
    lr: 0.1,
    o: null,
    seconds: 1,
    imagesPerSecond: 10,
    waitShare: 0,
  } as unknown as EpochRecord;
  expect(historyCsv([diverged]).split('\n')[1]).toBe('1,1,0.5,,0.1,,0.1,,1,10,0');
  const svg = runCurves('x', defaultRecipe(), [diverged]);
  expect(svg).toContain('test not a number');
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});
