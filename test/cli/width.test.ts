import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { EpochTable } from '../../src/cli/train/train-report.ts';
import { defaultRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 60_000;
const MODEL = 'models/cifar10-resnet8-bireal';
const folder = mkdtempSync(join(tmpdir(), 'bnn-width-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A single word may be longer than a line, such as a path: breaking it would make it useless. */
function tooWide(text: string): string[] {
  return text.split('\n').filter((line) => [...line].length > 80 && line.trim().includes(' '));
}

const commands = [
  [],
  ...Object.keys(COMMANDS).map((name) => [name]),
  ...['conv', 'model', 'train', 'web', 'data'].map((name) => ['bench', name]),
];

test.concurrent.each(commands)(
  'help fits 80 columns: bnn %s %s',
  async (...args) => {
    const { code, stdout } = await runCli([...args.filter((arg) => typeof arg === 'string'), '--help']);
    expect(code).toBe(0);
    expect(tooWide(stdout)).toEqual([]);
  },
  SLOW,
);

test.concurrent.each([
  ['inspect', `${MODEL}/model.onnx`],
  ['inspect', `${MODEL}/latent.onnx`],
  ['export', `${MODEL}/latent.onnx`, '-o', join(folder, 'explained.onnx'), '--explain'],
  ['export', `${MODEL}/latent.onnx`, '-o', join(folder, 'verified.onnx'), '--verify'],
  ['convert', `${MODEL}/latent.onnx`, '-o', join(folder, 'converted.onnx')],
  ['doctor'],
  ['models'],
  ['train', '--batch-size', '0'],
  ['train', 'nowhere.json'],
])(
  'output fits 80 columns: bnn %s %s %s %s %s',
  async (...args) => {
    const { stdout, stderr } = await runCli(
      args.filter((arg) => typeof arg === 'string'),
      { env: { COLUMNS: '80' } },
    );
    expect(stdout + stderr).not.toBe('');
    expect(tooWide(stdout)).toEqual([]);
    // What libraries of drivers print is not ours.
    expect(tooWide(stderr).filter((line) => !/vkCreateInstance|CheckVkSuccess/.test(line))).toEqual([]);
  },
  SLOW,
);

it('files and pipes get whole lines', async () => {
  const { stdout } = await runCli(['inspect', `${MODEL}/model.onnx`]);
  expect(stdout).toMatch(/^layer .* float MACs$/m);
});

it('a graph as text has whole lines, whatever COLUMNS says', async () => {
  const [narrow, wide] = await Promise.all(
    ['40', ''].map((COLUMNS) => runCli(['inspect', `${MODEL}/model.onnx`, '--graph'], { env: { COLUMNS } })),
  );
  expect(narrow!.stdout).toBe(wide!.stdout);
  expect(narrow!.stdout).toMatch(/.{100}/);
});

it('the table of epochs fits with everything that is measured', () => {
  for (const validation of [0, 50]) {
    for (const indicators of [true, false]) {
      const { header } = new EpochTable({ ...defaultRecipe(), validation, indicators }, 80);
      expect(header.length).toBeLessThanOrEqual(80);
      expect(header).toMatch(/epoch.*train_loss.*test_acc/);
      if (indicators) expect(header).toContain('flips_%');
      if (validation > 0) expect(header).toContain('val_acc');
    }
  }
});
