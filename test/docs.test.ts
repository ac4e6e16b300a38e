import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeModel } from '../src/onnx/model-io.ts';
import { buildModel } from '../src/zoo/zoo.ts';

/**
 * Runs the commands of the pages in docs/ as they stand there, page by page in a folder of its own; trainings get fewer pictures. What
 * is not run here is named, with the reason or the test that does.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const hasNative = existsSync(join(ROOT, 'build/bnn_native.node'));
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Pages whose commands another test runs. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'extend.md': 'test/cli/plugin-command.test.ts',
  'reports.md': 'test/cli/report-docs.test.ts',
};

/** Commands that are left out, by how they begin. */
const LEFT_OUT: readonly (readonly [start: string, reason: string])[] = [
  ['bnn setup', 'installs on this machine'],
  ['bnn train --model resnet20 --dataset cifar10 --download', 'downloads, and takes hours'],
  ['bnn train --model resnet20-fp --dataset cifar10', 'needs CIFAR-10, and takes hours'],
  [
    'bnn train models/cifar10-two-stage',
    'takes hours: test/training/recipes/method-recipes.test.ts trains by it on MNIST',
  ],
  [
    'bnn train models/cifar10-resnet20-biper',
    'takes days: test/training/recipes/method-recipes.test.ts trains by it on MNIST',
  ],
  ['bnn validate model.onnx --dataset cifar10 --ep webgpu', 'needs a GPU'],
  ['bnn bench', 'takes minutes: test/cli/bench-command.test.ts runs it with small numbers'],
  ['bnn compare', 'takes minutes: test/cli/compare-command.test.ts runs it with small numbers'],
  ['bnn convert larq.onnx', 'test/convert has networks of Larq'],
  ['bnn convert weights.h5', 'test/convert has checkpoints of Keras'],
  ['bnn convert model_best.pth.tar', 'test/convert has checkpoints of PyTorch'],
];

interface PageCommand {
  readonly page: string;
  readonly line: string;
  /** What `bnn` is called with. */
  readonly args: readonly string[];
}

function commandsOf(page: string): PageCommand[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8');
  const blocks = Array.from(text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm), ([, language = '', block = '']) =>
    ['', 'sh'].includes(language) ? block : '',
  );
  return blocks
    .flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
    .map((line) =>
      line
        .replace(/^npx /, '')
        .replace(/\s+#.*$/, '')
        .trim(),
    )
    .map((line) => line.replace(/^bnn-(?=[a-z]+ )/, 'bnn '))
    .filter((line) => line.startsWith('bnn '))
    .map((line) => ({ page, line, args: line.split(/\s+/).slice(1) }));
}

const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md') && !(name in ELSEWHERE));
const isLeftOut = (line: string): string | undefined => LEFT_OUT.find(([start]) => line.startsWith(start))?.[1];

function shortened([command = '', ...args]: readonly string[]): string[] {
  if (command === 'validate') return ['--limit', '60'];
  if (command !== 'train' || args.includes('--resume')) return [];
  const few = ['--limit-train', '256', '--limit-test', '60', '--epochs', '1'];
  return hasNative ? few : [...few, '--backend', 'cpu', '--limit-train', '32', '--batch-size', '16'];
}

/** What the pages take for given: a network made elsewhere, pictures, names of classes. */
async function prepare(folder: string, page: string): Promise<void> {
  symlinkSync(join(ROOT, 'models'), join(folder, 'models'));
  for (const name of ['foreign', 'float', 'net']) {
    await writeModel(join(folder, `${name}.onnx`), buildModel('binarynet-mini-fp', { seed: 1 }));
  }
  await writeModel(join(folder, 'photos-net.onnx'), buildModel('binarynet-mini-fp', { seed: 1, channels: 3 }));
  for (const [c, name] of ['cats', 'dogs'].entries()) {
    mkdirSync(join(folder, 'photos', name), { recursive: true });
    for (let i = 0; i < 10; i++) {
      const background = { r: 25 * i, g: 200 * c, b: 30 };
      const picture = sharp({ create: { width: 40, height: 36, channels: 3, background } });
      await picture.jpeg().toFile(join(folder, 'photos', name, `${i}.jpg`));
    }
  }
  copyFileSync(join(folder, 'photos/cats/0.jpg'), join(folder, 'cat.jpg'));
  writeFileSync(join(folder, 'names.txt'), Array.from({ length: 10 }, (_, i) => `class ${i}`).join('\n'));
  // These pages begin where one has a model.
  const trained = join(ROOT, 'models/cifar10-resnet8-bireal/model.onnx');
  if (page === 'web.md') copyFileSync(trained, join(folder, 'mnist.onnx'));
  if (page !== 'pictures.md') return;
  mkdirSync(join(folder, 'runs/photos/last'), { recursive: true });
  mkdirSync(join(folder, 'photos/test'));
  copyFileSync(trained, join(folder, 'photos.onnx'));
  copyFileSync(trained, join(folder, 'runs/photos/last/model.onnx'));
  copyFileSync(join(folder, 'cat.jpg'), join(folder, 'photos/test/cat.jpg'));
  await writeModel(join(folder, 'foreign.onnx'), buildModel('resnet8-bireal-fp', { seed: 1 }));
}

describe.each(pages.filter((page) => commandsOf(page).some(({ line }) => isLeftOut(line) === undefined)))(
  'docs/%s',
  (page) => {
    let folder: string;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'bnn-docs-'));
      folders.push(folder);
      await prepare(folder, page);
    });

    it.each(commandsOf(page).filter(({ line }) => isLeftOut(line) === undefined))(
      '$line',
      ({ args }) => {
        const file = join(ROOT, 'dist/cli/bnn.js');
        execFileSync(process.execPath, [file, ...args, ...shortened(args)], { cwd: folder, stdio: 'pipe' });
      },
      180_000,
    );
  },
);

it('what is left out is still there', () => {
  const lines = pages.flatMap((page) => commandsOf(page).map(({ line }) => line));
  expect(LEFT_OUT.filter(([start]) => !lines.some((line) => line.startsWith(start)))).toEqual([]);
});
