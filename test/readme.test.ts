import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeModel } from '../src/onnx/model-io.ts';
import { buildModel } from '../src/zoo/zoo.ts';

/**
 * Runs every command of the README's `sh` blocks, in order, as it stands there; trainings get fewer pictures so that this takes
 * seconds. (`npm run quickstart` has its own test; `npm test` is what runs this.)
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CIFAR = fileURLToPath(new URL('../../shared/data/cifar-10-batches-bin', import.meta.url));
const hasNative = existsSync(join(ROOT, 'build/bnn_native.node'));
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.trim().split('\n'));

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bnn-readme-'));
  symlinkSync(join(ROOT, 'models'), join(folder, 'models'));
  if (existsSync(CIFAR)) symlinkSync(CIFAR, join(folder, 'cifar-10-batches-bin'));
  // Stands for a network made elsewhere: it goes through the latent form and the compiler like any other.
  await writeModel(join(folder, 'foreign.onnx'), buildModel('binarynet-mini-fp', { seed: 1 }));
  for (const [index, name] of ['cats', 'dogs'].entries()) {
    mkdirSync(join(folder, 'photos', name), { recursive: true });
    for (let i = 0; i < 8; i++) {
      const background = { r: 30 * i, g: 200 * index, b: 30 };
      const picture = sharp({ create: { width: 40, height: 36, channels: 3, background } });
      await picture.jpeg().toFile(join(folder, 'photos', name, `${i}.jpg`));
    }
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function shortened(command: string): string[] {
  const few = ['--limit-train', '256', '--limit-test', '200', '--epochs', '1'];
  if (command.startsWith('bnn-validate')) return ['--limit', '500'];
  if (!command.startsWith('bnn-train') || command.includes('--resume')) return [];
  return hasNative
    ? few
    : [...few, '--backend', 'cpu', '--limit-train', '32', '--batch-size', '16', '--limit-test', '16'];
}

describe('README', () => {
  it('names only files that exist', () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, target = '']) => target);
    expect(links.filter((target) => !target.startsWith('http') && !existsSync(join(ROOT, target)))).toEqual([]);
  });

  for (const command of commands) {
    const readsCifar = /cifar-10-batches|runs\/cifar|cifar\.onnx/.test(command);
    const reason = readsCifar && !existsSync(CIFAR) ? '../shared is not here' : null;
    const slow = /cifar|photos/.test(command) && !hasNative ? 'too slow without the native backend' : null;
    const skipped = reason ?? slow;
    it.skipIf(skipped !== null)(
      `${command}${skipped === null ? '' : ` (skipped: ${skipped})`}`,
      () => {
        const [program = '', ...args] = command.split(/\s+/);
        const file = join(ROOT, 'dist/cli', `${program}.js`);
        execFileSync(process.execPath, [file, ...args, ...shortened(command)], { cwd: folder, stdio: 'pipe' });
      },
      120_000,
    );
  }
});
