import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../src/compiler/lower-to-packed.ts';
import { encodePreprocessing, PREPROCESSING_KEY, pictureFrame } from '../src/core/pictures/preprocessing.ts';
import { writeModel } from '../src/onnx/model-io.ts';
import { buildModel } from '../src/zoo/zoo.ts';

/**
 * The container files of docs/deploy: built and run where an engine is at hand, and everywhere step by step in a bare folder. Two
 * steps are taken from this machine there: npm's and pip's packages, since installing is the business of npm and pip.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DEPLOY = join(ROOT, 'docs/deploy');
const OPS = join(ROOT, 'build/libbnn_ops.so');
const PYTHON = process.env['BNN_PYTHON'] ?? 'python3';
const hasPython = spawnSync(PYTHON, ['-c', 'import onnxruntime, numpy, PIL']).status === 0;
const engine = ['docker', 'podman'].find((name) => spawnSync(name, ['info']).status === 0);
const isBuilt = existsSync(join(ROOT, 'dist/index.js'));
const CLASSES = ['apple', 'cherry', 'plum'];

const folder = mkdtempSync(join(tmpdir(), 'bnn-containers-'));
const context = join(folder, 'context');
const picture = join(folder, 'cat.jpg');

beforeAll(async () => {
  mkdirSync(context);
  const { model } = lowerToPacked(buildModel('binarynet-mini', { classes: 3, channels: 3, imageSize: 16, seed: 2 }));
  const frame = { ...pictureFrame(16, 16, 'squash'), filter: 'triangle', channelOrder: 'RGB', layout: 'NCHW' } as const;
  const entry = { dataset: 'test', picture: frame, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2], classes: CLASSES };
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(entry));
  await writeModel(join(context, 'model.onnx'), model);
  for (const name of ['server.mjs', 'python.py']) copyFileSync(join(DEPLOY, name), join(context, name));
  if (existsSync(OPS)) copyFileSync(OPS, join(context, 'libbnn_ops.so'));
  await sharp({ create: { width: 40, height: 30, channels: 3, background: '#c04020' } })
    .jpeg()
    .toFile(picture);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Container {
  /** Where its files lie here. */
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly installs: readonly string[];
  readonly command: readonly string[];
}

/** Does in `root` what the steps say; `RUN` is only kept. */
function follow(file: string, root: string): Container {
  const env: Record<string, string> = {};
  const installs: string[] = [];
  let workdir = root;
  let command: string[] = [];
  for (const line of readFileSync(join(DEPLOY, file), 'utf8').split('\n')) {
    const [, step, rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    const words = rest.split(' ');
    if (step === 'WORKDIR') {
      workdir = join(root, rest);
      mkdirSync(workdir, { recursive: true });
    } else if (step === 'COPY')
      for (const name of words.slice(0, -1)) copyFileSync(join(context, name), join(workdir, words.at(-1) ?? '', name));
    else if (step === 'ENV')
      env[rest.split('=')[0] ?? ''] = rest.slice(rest.indexOf('=') + 1).replace(/^\/app\//, `${root}/app/`);
    else if (step === 'RUN') installs.push(rest);
    else if (step === 'CMD' || step === 'ENTRYPOINT') command = JSON.parse(rest) as string[];
    else if (step !== undefined && !['FROM', 'USER', 'EXPOSE', 'HEALTHCHECK'].includes(step))
      throw new Error(`no step ${step}`);
  }
  return { root, workdir, env, installs, command };
}

describe.skipIf(!isBuilt)(`Dockerfile.node, in a bare folder${isBuilt ? '' : ' (skipped: dist is not built)'}`, () => {
  let server: ChildProcess;
  afterAll(() => server?.kill('SIGKILL'));

  it('serves pictures', async () => {
    const { workdir, env, installs, command } = follow('Dockerfile.node', join(folder, 'node'));
    expect(installs).toEqual([expect.stringMatching(/^npm install .* bnn-toolchain$/)]);
    mkdirSync(join(workdir, 'node_modules'));
    symlinkSync(ROOT, join(workdir, 'node_modules/bnn-toolchain'));
    expect(command).toEqual(['node', 'server.mjs', 'model.onnx', '8080', '0.0.0.0']);
    // Any port, and on this machine alone.
    const args = [...command.slice(1, -2), '0', '127.0.0.1'];
    server = spawn(process.execPath, args, {
      cwd: workdir,
      env: { ...env, HOME: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(server.stdout!, 'data')) as [Buffer];
    const url = /http:\S+/.exec(String(line))![0];
    expect((await fetch(new URL('/health', url))).status).toBe(200);
    const response = await fetch(url, { method: 'POST', body: new Uint8Array(readFileSync(picture)) });
    expect(response.status).toBe(200);
    expect(JSON.stringify(await response.json())).toMatch(/apple|cherry|plum/);
  }, 60_000);
});

const lack = !hasPython
  ? `${PYTHON} has no onnxruntime, numpy and Pillow: set BNN_PYTHON`
  : existsSync(OPS)
    ? null
    : 'the operator library is not built';
describe.skipIf(lack !== null)(
  `Dockerfile.python, in a bare folder${lack === null ? '' : ` (skipped: ${lack})`}`,
  () => {
    it('names pictures with the operator library', () => {
      const { workdir, env, installs, command } = follow('Dockerfile.python', join(folder, 'python'));
      expect(installs).toEqual([expect.stringMatching(/^pip install .*onnxruntime==[\d.]+ numpy pillow$/)]);
      expect(command[0]).toBe('python');
      const run = spawnSync(PYTHON, [...command.slice(1), picture], {
        cwd: workdir,
        env: { ...env, PATH: [dirname(PYTHON), process.env['PATH']].join(delimiter), HOME: folder },
        encoding: 'utf8',
      });
      expect(run.status, run.stderr).toBe(0);
      expect(run.stdout).toMatch(/apple|cherry|plum/);
      writeFileSync(join(workdir, 'libbnn_ops.so'), 'no library');
      const broken = spawnSync(PYTHON, [...command.slice(1), picture], {
        cwd: workdir,
        env: { ...process.env, ...env },
      });
      expect(broken.status, 'the operator library is loaded').not.toBe(0);
    }, 60_000);
  },
);

describe.skipIf(engine === undefined)(
  `an engine${engine === undefined ? ' (skipped: neither docker nor podman answers)' : ''}`,
  () => {
    it('builds and runs Dockerfile.python', () => {
      const run = (...args: string[]) => {
        const { status, stdout, stderr } = spawnSync(engine ?? '', args, { encoding: 'utf8' });
        expect(status, stderr).toBe(0);
        return stdout;
      };
      run('build', '-f', join(DEPLOY, 'Dockerfile.python'), '-t', 'bnn-python-test', context);
      expect(run('run', '--rm', '-v', `${folder}:/photos:ro`, 'bnn-python-test', '/photos/cat.jpg')).toMatch(
        /apple|cherry|plum/,
      );
    }, 600_000);
  },
);
