/** `bnn validate --confusion` and `--mistakes`, and `bnn report`, as commands. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { train } from '../../src/training/sessions/trainer.ts';
import { runCli } from './spawn-cli.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let folder: string;
let run: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-mistakes-'));
  run = join(folder, 'run');
  await train({ limitTrain: 8, limitTest: 50, epochs: 1, batchSize: 4, backend: 'cpu' }, { out: run });
});
afterAll(() => rm(folder, { recursive: true }));

it('the matrix, the table of mistakes and the accuracy say the same', async () => {
  const file = join(folder, 'm.csv');
  const args = ['validate', run, '--dataset', 'mnist', '--limit', '50', '--confusion', '--mistakes', file];
  const { code, stderr, events } = await runCli([...args, '--json']);
  expect(code, stderr).toBe(0);
  const [{ confusion, top1, mistakes, classes }] = events() as [Record<string, unknown>];
  const counts = confusion as number[][];
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  expect(sum(counts.map(sum))).toBe(50);
  expect(sum(counts.map((row, i) => row[i] ?? 0))).toBe(Math.round(50 * (top1 as number)));
  expect(counts.map(sum)).toEqual((classes as { images: number }[]).map(({ images }) => images));
  const rows = (await readFile(file, 'utf8'))
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','));
  expect(mistakes).toEqual({ file, count: rows.length });
  expect(rows).toHaveLength(50 - Math.round(50 * (top1 as number)));
  // By label and decision, the same as the matrix; the most certain first.
  for (const [i, row] of counts.entries())
    for (const [k, count] of row.entries())
      if (i !== k)
        expect(rows.filter(([, , label, decision]) => label === String(i) && decision === String(k))).toHaveLength(
          count,
        );
  const certain = rows.map((row) => Number(row[4]));
  expect(certain).toEqual([...certain].sort((a, b) => b - a));
  for (const row of rows) expect(Number(row[4])).toBeGreaterThanOrEqual(Number(row[5]));
  const { stdout } = await runCli(args);
  expect(stdout).toContain('columns: what it was taken for');
  expect(stdout).toContain('top-5');
  const matrix = stdout.split('\n\n')[1] ?? '';
  expect(matrix).toContain('is ');
  expect(Math.max(...matrix.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});

it('the page of mistakes has their pictures; another kind of file is refused before any work', async () => {
  const file = join(folder, 'm.html');
  const { code } = await runCli(['validate', run, '--dataset', 'mnist', '--limit', '50', '--mistakes', file]);
  expect(code).toBe(0);
  const html = await readFile(file, 'utf8');
  expect(html).toContain('<table class="matrix">');
  expect(html.match(/<figure><img src="data:image\/png/g)?.length).toBeGreaterThan(10);
  const refused = await runCli(['validate', run, '--dataset', 'mnist', '--mistakes', join(folder, 'm.pdf')]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('.csv or .html');
});

it('bnn report writes the page and says where', async () => {
  const out = join(folder, 'report.html');
  const { code, stdout, stderr } = await runCli(['report', run, '-o', out]);
  expect(code, stderr).toBe(0);
  expect(stdout).toContain(out);
  expect(await readFile(out, 'utf8')).toContain('<section id="mistakes"');
  await writeFile(join(folder, 'x'), '');
  const none = await runCli(['report', folder, '-o', out]);
  expect(none.code).toBe(1);
  expect(none.stderr).toContain('no recipe.json');
});
