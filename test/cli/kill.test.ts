/** Long runs survive what happens to long runs: killed processes, full disks. */

import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { loadCheckpoint } from '../../src/training/sessions/checkpoint-io.ts';
import { readHistory } from '../../src/training/sessions/history-io.ts';
import { programArguments } from './program.ts';
import { ROOT, runCli } from './spawn-cli.ts';

const native = loadNativeAddon();
const skipped = native.ok ? '' : ` (skipped: ${native.reason})`;
const SLOW = 120_000;
const KILLS = Number(process.env['BNN_TEST_KILLS'] ?? 3);

/** Small, and with everything that keeps state between steps: latent and averaged weights, indicators, mixing, a validation set. */
const RECIPE = [
  ...['--limit-train', '448', '--limit-test', '100', '--validation', '64', '--batch-size', '32', '--epochs', '4'],
  ...['--weight-transform', 'recu', '--weight-estimator', 'ste-identity', '--ema-decay', '0.9', '--indicators'],
  ...['--mixup', '0.2', '--cutout', '6', '--clip-gradients', '1', '--schedule', 'one-cycle'],
  ...['--checkpoint-minutes', '0.001', '--backend', 'native', '--threads', '1', '--quiet'],
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-kill-'));
});
afterAll(() => rm(folder, { recursive: true }));

function startTraining(args: readonly string[]): { child: ChildProcess; end: Promise<number | null> } {
  const child = spawn(process.execPath, [...programArguments('src/cli/bnn-train.ts'), ...args], {
    cwd: ROOT,
    stdio: 'ignore',
  });
  const end = new Promise<number | null>((resolve) => child.on('exit', resolve));
  return { child, end };
}

async function isThere(path: string): Promise<boolean> {
  return (await readFile(path).catch(() => null)) !== null;
}

const FILES = ['best', 'curves.svg', 'environment.json', 'history.csv', 'history.jsonl', 'last', 'recipe.json'];
const FINAL_FILES = ['last/model.onnx', 'last/optimizer.safetensors', 'best/model.onnx'];

async function expectSameEnd(run: string, whole: string): Promise<void> {
  for (const name of FINAL_FILES) {
    expect((await readFile(join(run, name))).equals(await readFile(join(whole, name))), name).toBe(true);
  }
  const timeless = async (of: string) =>
    (await readHistory(join(of, 'history.jsonl'))).map((record) => ({
      ...record,
      ...{ seconds: 0, imagesPerSecond: 0, waitShare: 0 },
    }));
  expect(await timeless(run)).toEqual(await timeless(whole));
}

describe.skipIf(!native.ok)(`on the native backend${skipped}`, () => {
  test(
    `kill -9 at ${KILLS} random moments: the end is that of the uninterrupted run`,
    async () => {
      const [whole, run] = [join(folder, 'whole'), join(folder, 'killed')];
      const begin = performance.now();
      expect(await startTraining([...RECIPE, '--out', whole]).end).toBe(0);
      const wholeMs = performance.now() - begin;
      const rng = new Rng(Number(process.env['BNN_TEST_SEED'] ?? 7));
      for (let kills = 0; kills < KILLS; await rm(run, { recursive: true })) {
        // One run, killed until it comes to its end; then, when kills are left, another one.
        for (let code: number | null = null; code !== 0; ) {
          const resumes = await isThere(join(run, 'recipe.json'));
          const { child, end } = startTraining(
            resumes ? ['--resume', '--out', run, '--quiet'] : [...RECIPE, '--out', run],
          );
          const delayMs = wholeMs * (0.2 + 0.5 * rng.uniform());
          const timer = setTimeout(() => child.kill('SIGKILL'), kills < KILLS ? delayMs : SLOW);
          code = await end;
          clearTimeout(timer);
          if (code === null) kills++;
          else expect(code).toBe(0);
        }
        await expectSameEnd(run, whole);
        expect((await readdir(run)).sort()).toEqual(FILES);
      }
    },
    SLOW + KILLS * 30_000,
  );

  test(
    'a terminal that is closed, with SIGHUP twice, leaves a checkpoint of the step under way',
    async () => {
      const run = join(folder, 'hung-up');
      const args = [...RECIPE.filter((arg) => arg !== '--quiet'), '--checkpoint-minutes', '0', '--out', run];
      let isSent = false;
      const { code, stderr } = await runCli(['train', ...args], {
        during: (child, text) => {
          if (isSent || !/\n\| +1 \|/.test(text)) return;
          isSent = true;
          for (let i = 0; i < 2; i++) child.kill('SIGHUP');
        },
      });
      expect(code, stderr).toBe(130);
      const { state } = await loadCheckpoint(join(run, 'last'));
      expect(state.step).toBeGreaterThan(0);
      expect((await readdir(run)).sort()).toEqual(FILES);
      expect(stderr).toContain(`bnn-train --resume --out ${run}`);
    },
    SLOW,
  );

  test(
    'kill -9: the folder is free at once, and held for whoever else comes while a training runs',
    async () => {
      const run = join(folder, 'held');
      const args = [...RECIPE, '--epochs', '50', '--out', run];
      const first = startTraining(args);
      while (!(await isThere(join(run, 'recipe.json')))) await new Promise((resolve) => setTimeout(resolve, 50));
      const second = await runCli(['train', '--resume', '--out', run]);
      expect(second.code, second.stderr).toBe(2);
      expect(second.stderr).toContain('another training is using this folder');
      first.child.kill('SIGKILL');
      await first.end;
      expect(await readdir(run)).toContain('lock.json');
      let isSent = false;
      const third = await runCli(['train', '--resume', '--out', run], {
        during: (child, text) => {
          if (!isSent && /batch +32/.test(text)) isSent = child.kill('SIGINT');
        },
      });
      expect(third.code, third.stderr).toBe(130);
      expect(await readdir(run)).not.toContain('lock.json');
    },
    SLOW,
  );

  test(
    'the export that is proposed overwrites no file that is there',
    async () => {
      const place = await mkdtemp(join(tmpdir(), 'bnn-next-'));
      const start = join(ROOT, 'start-of-a-test.onnx');
      await writeFile(start, 'mine');
      try {
        const out = join(place, 'start-of-a-test');
        const { code, stdout } = await runCli(['train', ...RECIPE, '--epochs', '1', '--out', out]);
        expect(code).toBe(0);
        expect(stdout).toContain(`bnn-export ${out} -o start-of-a-test-packed.onnx`);
      } finally {
        await rm(start);
        await rm(place, { recursive: true });
      }
    },
    SLOW,
  );

  test(
    'a full disk in the middle of a run: the last checkpoint stays, and the run ends as if nothing had happened',
    async () => {
      const run = join(folder, 'full');
      const stopped = await runCli(['train', ...RECIPE.filter((arg) => arg !== '--quiet'), '--out', run], {
        during: (child, stderr) => {
          if (/\n\| +2 \|/.test(stderr)) child.kill('SIGINT');
        },
      });
      expect(stopped.code).toBe(130);
      const before = join(folder, 'before');
      await cp(run, before, { recursive: true });
      // A limit of the size of files stands in for the disk: writes beyond it fail with EFBIG as they do with ENOSPC.
      const { code, stderr } = await limitedCli(64, ['train', '--resume', '--out', run]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/error\[E_IO\] bnn train: cannot write: .+\n {2}at .*last/);
      for (const name of FINAL_FILES) {
        expect((await readFile(join(run, name))).equals(await readFile(join(before, name))), name).toBe(true);
      }
      expect(await startTraining(['--resume', '--out', run, '--quiet']).end).toBe(0);
      await expectSameEnd(run, join(folder, 'whole'));
    },
    SLOW,
  );
});

/** Runs a command that may not write files above so many blocks of 512 bytes (or of 1024, by the shell). */
function limitedCli(blocks: number, args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const script = `trap '' XFSZ; ulimit -f ${blocks}; exec "$0" "$@"`;
  const child = spawn('sh', ['-c', script, process.execPath, ...programArguments('src/cli/bnn.ts'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr })));
}

test(
  'a folder that cannot be written is reported before training starts',
  async () => {
    await writeFile(join(folder, 'file'), '');
    const { code, stderr } = await runCli(['train', ...RECIPE, '--out', join(folder, 'file', 'run')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error\[E_USAGE\] bnn train: this is a file, .+\n {2}at .*file/m);
    expect(stderr).not.toContain('| epoch |');
  },
  SLOW,
);

test.skipIf(process.getuid?.() === 0)(
  'so is one without permission (skipped for root, who may write everywhere)',
  async () => {
    await mkdir(join(folder, 'locked'));
    await chmod(join(folder, 'locked'), 0o500);
    const { code, stderr } = await runCli(['train', ...RECIPE, '--out', join(folder, 'locked', 'run')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error\[E_IO\] bnn train: cannot .+\n {2}at .*locked/m);
  },
  SLOW,
);
