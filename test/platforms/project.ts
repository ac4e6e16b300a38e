/** Empty projects that install the package as it is published. */

import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import sharp from 'sharp';
import { expect } from 'vitest';
import { makePath, npmCli, type PackageManager } from './package-managers.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SMALL = ['--limit-train', '2560', '--limit-test', '500', '--epochs', '1'];

export interface Project {
  readonly folder: string;
  run(
    command: readonly string[],
    env?: NodeJS.ProcessEnv,
  ): { readonly status: number | null; readonly stdout: string; readonly stderr: string };
}

/** An empty project in `place`, which is also its home, with a PATH that has `node` and no compiler. */
export function makeProject(
  place: string,
  node = process.execPath,
  files: Readonly<Record<string, string>> = {},
): Project {
  const folder = join(place, 'project');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "name": "empty", "private": true }\n');
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  const own = { PATH: makePath(join(place, 'bin'), node), HOME: place, NO_COLOR: '1', CI: '1', TMPDIR: place };
  return {
    folder,
    run: ([program = '', ...args], env = {}) =>
      spawnSync(program, args, { cwd: folder, env: { ...own, ...env }, encoding: 'utf8', maxBuffer: 1 << 26 }),
  };
}

/** Puts npm on the project's PATH, asking `registry`; returns the variables that this takes. */
export function giveNpm(project: Project, registry: string): NodeJS.ProcessEnv {
  symlinkSync(npmCli(), join(project.folder, '../bin/npm'));
  return { npm_config_registry: registry };
}

export function succeed(project: Project, command: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = project.run(command, env);
  expect(status, `${command.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

/** What a command writes on stderr that must fail. */
export function fail(project: Project, command: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = project.run(command, env);
  expect(status, `${command.join(' ')}\n${stdout}\n${stderr}`).toBe(1);
  return stderr;
}

type Events = readonly Record<string, unknown>[];

export function eventsOf(stdout: string): Events {
  const lines = stdout.split('\n').filter((text) => text.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Megabytes (2^20 bytes) of a folder: its files, and the blocks that they take on the disk, as `du` counts. */
export function megabytes(path: string): { readonly files: number; readonly blocks: number } {
  const info = lstatSync(path, { throwIfNoEntry: false });
  // Links of pnpm lead to what is counted where it lies.
  if (info === undefined || info.isSymbolicLink()) return { files: 0, blocks: 0 };
  const own = { files: info.isDirectory() ? 0 : info.size / 2 ** 20, blocks: info.blocks / 2 ** 11 };
  if (!info.isDirectory()) return own;
  return readdirSync(path).reduce((sum, name) => {
    const { files, blocks } = megabytes(join(path, name));
    return { files: sum.files + files, blocks: sum.blocks + blocks };
  }, own);
}

/** The first digit of MNIST's test set. */
async function writeDigit(path: string): Promise<void> {
  const bytes = gunzipSync(readFileSync(join(ROOT, 'packages/mnist/data/t10k-images-idx3-ubyte.gz')));
  const raw = { width: 28, height: 28, channels: 1 } as const;
  await sharp(bytes.subarray(16, 16 + 784), { raw }).toFile(path);
}

/** Trains on native kernels of the wanted origin. */
export function train(project: Project, run: PackageManager['run'], out: string, origin: RegExp): void {
  const args = ['--model', 'binarynet-mini', '--dataset', 'mnist', ...SMALL, '--out', out];
  const trained = project.run([...run('bnn-train'), ...args]);
  expect(trained.status, trained.stdout + trained.stderr).toBe(0);
  expect(trained.stderr).toMatch(new RegExp(`native \\w+, \\d+ threads?, ${origin.source}`));
}

const PREBUILT = /prebuilt in @bnn-toolchain\/linux-x64 \d/;

/**
 * Trains, exports, validates and predicts with what is installed: the packed file against the run that it was made from, and the
 * prediction against stock onnxruntime here.
 */
export async function useIt(project: Project, run: PackageManager['run']): Promise<void> {
  train(project, run, 'run', PREBUILT);
  succeed(project, [...run('bnn-export'), 'run', '-o', 'packed.onnx', '--verify']);
  const validate = ['packed.onnx', '--dataset', 'mnist', '--limit', '500', '--against', 'run', '--json'];
  const validation = eventsOf(succeed(project, [...run('bnn-validate'), ...validate])).at(-1);
  expect(validation).toMatchObject({ images: 500, engine: 'wasm', agreement: 1 });
  expect(validation?.['top1']).toBeGreaterThan(0.5);
  expect(succeed(project, [...run('bnn'), 'doctor'])).toMatch(
    /^onnxruntime +onnxruntime-web 1\.\d+\.\d+ \(WebAssembly/m,
  );
  const digit = join(project.folder, 'digit.png');
  await writeDigit(digit);
  const predict = [join(project.folder, 'packed.onnx'), digit, '--top', '10', '--json'];
  const predicted = guessesOf(succeed(project, [...run('bnn-predict'), ...predict]));
  const stock = spawnSync(
    process.execPath,
    [join(ROOT, 'dist/cli/bnn-predict.js'), ...predict, '--engine', 'onnxruntime', '--ops', 'off'],
    { encoding: 'utf8' },
  );
  expect(predicted).toHaveLength(10);
  expect(predicted).toEqual(guessesOf(stock.stdout));
}

/** Classes and probabilities of the only picture, to five decimals. */
function guessesOf(stdout: string): unknown[] {
  const [picture] = eventsOf(stdout).filter(({ event }) => event === 'picture');
  const guesses = picture?.['guesses'] as readonly { readonly name: string; readonly probability: number }[];
  return guesses.map(({ name, probability }) => [name, probability.toFixed(5)]);
}
