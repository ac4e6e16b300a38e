/** The commands of docs/reports.md run as they stand there, with fewer pictures. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { programArguments, ROOT } from './program.ts';

const page = readFileSync(join(ROOT, 'docs/reports.md'), 'utf8');
const commands = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.trim().split('\n'));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bnn-report-docs-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function shortened(program: string): string[] {
  if (program === 'bnn-validate') return ['--limit', '60'];
  return program === 'bnn-train' ? ['--limit-train', '256', '--limit-test', '60', '--backend', 'auto'] : [];
}

it.each(commands)(
  '%s',
  (command) => {
    const [program = '', ...args] = command.split(/\s+/);
    const all = [...programArguments(`src/cli/${program}.ts`), ...args, ...shortened(program)];
    execFileSync(process.execPath, all, { cwd: folder, stdio: 'pipe' });
  },
  180_000,
);

it('they leave what the page says', () => {
  const files = ['history.csv', 'curves.svg', 'environment.json', 'tensorboard'].map((name) => `runs/seen/${name}`);
  for (const name of [...files, 'report.html', 'both.html', 'mistakes.html', 'mistakes.csv']) {
    expect(existsSync(join(folder, name)), name).toBe(true);
    expect(statSync(join(folder, name)).size).toBeLessThan(3e6);
  }
});
