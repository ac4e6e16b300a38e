/** `mpirun bnn-train`, with every MPI that is here: what several processes learn, and how they end. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
import { MPI_FAMILIES } from '../../src/distributed/launcher.ts';
import { loadCheckpoint } from '../../src/training/sessions/checkpoint-io.ts';
import { type EpochRecord, readHistory } from '../../src/training/sessions/history-io.ts';
import { runCli } from '../cli/spawn-cli.ts';
import { mpirun, prepareMpis, workersOf } from './mpirun.ts';

const SLOW = 600_000;
const BACKEND = loadNativeAddon().ok ? 'native' : 'wasm';
const mpis = await prepareMpis();

/** An epoch is one step, so the history holds the loss of each. Adam would enlarge what rounding does to gradients near 0. */
const STEPS = [
  ...['--limit-train', '48', '--limit-test', '20', '--batch-size', '48', '--epochs', '30', '--sync-batch-norm'],
  ...['--optimizer', 'sgd', '--lr', '0.02', '--cutout', '6', '--pad-crop', '2', '--clip-gradients', '5'],
  ...['--threads', '1', '--backend', BACKEND, '--quiet'],
];
const PLUGIN = ['--plugin', 'test/distributed/slow.js'];
/** To be stopped, where SLOWLY makes an epoch last 2 seconds. */
const LONG = [
  ...['--limit-train', '640', '--limit-test', '50', '--batch-size', '32', '--epochs', '5', '--validation', '64'],
  ...['--sync-batch-norm', '--checkpoint-minutes', '0.001', '--threads', '1', '--backend', BACKEND],
  ...[...PLUGIN, '--augment', 'slow'],
];
const SLOWLY = { BNN_TEST_SLOW: '5' };

/** In which all processes have to be gone. */
const MOST_MS = 30_000;

let folder: string;
const at = (name: string): string => join(folder, name);
const historyOf = (run: string): Promise<EpochRecord[]> => readHistory(join(at(run), 'history.jsonl'));
const weightsOf = (run: string): Promise<Buffer> => readFile(join(at(run), 'last/model.onnx'));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-mpi-'));
  const { code, stderr } = await runCli([...STEPS, '--out', at('alone')], { program: 'bnn-train' });
  expect(stderr).toBe('');
  expect(code).toBe(0);
}, SLOW);
afterAll(() => rm(folder, { recursive: true }));

/** Largest relative difference of the losses of two runs. */
async function lossDifference(run: string, other: string, steps = Number.POSITIVE_INFINITY): Promise<number> {
  const [losses, others] = [await historyOf(run), await historyOf(other)];
  expect(losses.length).toBe(others.length);
  const differences = losses.map(({ trainLoss }, i) => Math.abs(trainLoss / (others[i]?.trainLoss ?? 0) - 1));
  return Math.max(...differences.slice(0, steps));
}

/** Largest difference of a tensor relative to its norm. */
async function weightDifference(run: string, other: string): Promise<number> {
  const [model, another] = await Promise.all([run, other].map((name) => loadCheckpoint(join(at(name), 'last'))));
  let worst = 0;
  for (const [name, { constant }] of model?.model.graph.values ?? []) {
    const [a, b] = [constant?.data, another?.model.graph.values.get(name)?.constant?.data];
    if (!(a instanceof Float32Array) || !(b instanceof Float32Array)) continue;
    const norm = Math.hypot(...a);
    if (norm > 0) worst = Math.max(worst, Math.hypot(...a.map((v, i) => v - (b[i] ?? 0))) / norm);
  }
  return worst;
}

describe.each(mpis)('$family $skipped', ({ family, skipped }) => {
  it.skipIf(skipped !== '')(
    '2 and 4 processes learn what one does, up to rounding, with the same bits from run to run',
    async () => {
      for (const count of [2, 4]) {
        const run = `${family}-${count}`;
        const { code, stderr } = await mpirun(family, count, [...STEPS, '--out', at(run)]);
        expect([code, stderr]).toEqual([0, '']);
        // Sums of parts are rounded elsewhere; after some steps a value near 0 may get another sign.
        expect(await lossDifference(run, 'alone', 5)).toBeLessThan(1e-5);
        expect(await lossDifference(run, 'alone')).toBeLessThan(2e-3);
        expect(await weightDifference(run, 'alone')).toBeLessThan(2e-3);
        expect((await historyOf(run)).every(({ processes }) => processes === count)).toBe(true);
      }
      // The other MPI is compared with the first below.
      if (family !== mpis.find((mpi) => mpi.skipped === '')?.family) return;
      await mpirun(family, 2, [...STEPS, '--out', at(`${family}-again`)]);
      expect((await weightsOf(`${family}-again`)).equals(await weightsOf(`${family}-2`))).toBe(true);
      const own = STEPS.filter((option) => option !== '--sync-batch-norm');
      await mpirun(family, 2, [...own, '--out', at(`${family}-own`)]);
      // What these bounds tell apart.
      expect(await lossDifference(`${family}-own`, 'alone')).toBeGreaterThan(0.05);
    },
    SLOW,
  );

  it.skipIf(skipped !== '')(
    'kill -9 of one, SIGTERM to mpirun: all end, and a resumed run ends as an undisturbed one',
    async () => {
      const whole = `${family}-whole`;
      const { code, stderr } = await mpirun(family, 2, [...LONG, '--out', at(whole)]);
      expect(code).toBe(0);
      expect(stderr.match(/test_acc/g)).toHaveLength(1);
      expect(stderr).toContain('2 processes take 16 pictures each, normalized together');
      const run = at(`${family}-stopped`);
      let wasKilled = false;
      const killed = await mpirun(family, 2, [...LONG, '--out', run], {
        env: SLOWLY,
        during: (_, text) => {
          if (wasKilled || !/\|\s+1 \|/.test(text)) return;
          wasKilled = true;
          const worker = workersOf(run).at(-1);
          if (worker !== undefined) process.kill(worker, 'SIGKILL');
        },
      });
      expect(killed.code).not.toBe(0);
      expect(wasKilled).toBe(true);
      await expect.poll(() => workersOf(run), { timeout: MOST_MS }).toEqual([]);
      expect((await loadCheckpoint(join(run, 'last'))).isSealed).toBe(true);

      let wasAsked = false;
      const asked = await mpirun(family, 2, ['--resume', ...PLUGIN, '--out', run], {
        env: SLOWLY,
        during: (child, text) => {
          if (wasAsked || !/\|\s+\d+ \|/.test(text)) return;
          wasAsked = true;
          child.kill('SIGTERM');
        },
      });
      // Not by its exit code: MPICH's mpirun ends with 130 or, now and then, with 0.
      expect(wasAsked).toBe(true);
      expect(asked.stderr).toContain('interrupted: the checkpoint is');
      await expect.poll(() => workersOf(run), { timeout: MOST_MS }).toEqual([]);

      const resumed = await mpirun(family, 2, ['--resume', ...PLUGIN, '--out', run]);
      expect(resumed.code).toBe(0);
      expect((await readFile(join(run, 'last/model.onnx'))).equals(await weightsOf(whole))).toBe(true);
    },
    SLOW,
  );

  it.skipIf(skipped !== '')(
    'goes on with another number of processes, and says so in the history',
    async () => {
      const run = at(`${family}-other`);
      let isAsked = false;
      await mpirun(family, 2, [...LONG, '--out', run], {
        env: SLOWLY,
        during: (child, text) => {
          if (isAsked || !/\|\s+1 \|/.test(text)) return;
          isAsked = true;
          child.kill('SIGINT');
        },
      });
      expect((await readHistory(join(run, 'history.jsonl'))).length).toBeLessThan(5);
      const { code } = await mpirun(family, 3, ['--resume', ...PLUGIN, '--out', run]);
      expect(code).toBe(0);
      const counts = (await readHistory(join(run, 'history.jsonl'))).map(({ processes }) => processes);
      expect([counts[0], counts.at(-1)]).toEqual([2, 3]);
    },
    SLOW,
  );

  it.skipIf(skipped !== '')(
    'what goes wrong in one is said once, by the first, and ends all',
    async () => {
      const run = at(`${family}-wrong`);
      const lastEnv = { BNN_NATIVE: 'none' };
      const args = [...LONG, '--backend', 'native', '--out', run];
      const { code, stderr } = await mpirun(family, 2, args, { lastEnv });
      expect(code).not.toBe(0);
      expect(stderr.match(/error\[/g)).toHaveLength(1);
      expect(stderr).toMatch(/process 1 on \S+: /);
      expect(stderr).toContain('BNN_NATIVE is none');
      await expect.poll(() => workersOf(run), { timeout: MOST_MS }).toEqual([]);
      const loss = await mpirun(family, 2, [
        ...STEPS,
        '--lr',
        '1e6',
        '--clip-gradients',
        '0',
        '--out',
        at(`${family}-nan`),
      ]);
      expect(loss.stderr.match(/error\[E_NUMERIC\]/g)).toHaveLength(1);
      const many = await mpirun(family, 2, [...STEPS, '--batch-size', '1', '--out', at(`${family}-many`)]);
      expect(many.stderr).toContain('a batch has 1 pictures, for 2 processes');
      const wrong = await mpirun(family, 2, [...STEPS, '--epochs', '0', '--out', at(`${family}-many`)]);
      expect(wrong.stderr.match(/error\[E_USAGE\]/g)).toHaveLength(1);
    },
    SLOW,
  );

  it.skipIf(skipped !== '')(
    'bnn compare gives each process its own runs, and bnn-bench train measures all of them',
    async () => {
      const out = at(`${family}-compare`);
      const few = ['--limit-train', '64', '--limit-test', '20', '--batch-size', '32', '--epochs', '1'];
      const compared = await mpirun(
        family,
        2,
        ['compare', '--estimators', 'ste,reste', '--seeds', '1,2,3', ...few, '--backend', BACKEND, '--out', out],
        { program: 'bnn' },
      );
      expect(compared.code).toBe(0);
      const results = JSON.parse(await readFile(join(out, 'results.json'), 'utf8')) as {
        readonly isComplete: boolean;
        readonly arms: readonly { readonly runs: readonly unknown[] }[];
      };
      expect(results.isComplete).toBe(true);
      expect(results.arms.map(({ runs }) => runs.length)).toEqual([3, 3]);
      expect(compared.stderr.match(/seed \d: test/g)).toHaveLength(6);

      const bench = await mpirun(
        family,
        2,
        [
          ...['train', '--model', 'binarynet-mini', '--batch', '16', '--rounds', '1', '--steps', '2', '--threads', '1'],
          ...['--backend', BACKEND, '--json'],
        ],
        { program: 'bnn-bench' },
      );
      expect(bench.code).toBe(0);
      const [{ together }] = bench.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)) as [{ together: Record<string, number> }];
      expect(together).toMatchObject({ processes: 2, machines: 1, threads: 2 });
      // All gradients in float32, and running statistics, once.
      expect(together['bytesPerStep']).toBeGreaterThan(4 * 62_186);
      expect(together['bytesPerStep']).toBeLessThan(4 * 62_186 * 1.05);
    },
    SLOW,
  );
});

it.skipIf(mpis.some(({ skipped }) => skipped !== ''))('both MPIs give the same bits', async () => {
  const [first, second] = MPI_FAMILIES.map((family) => `${family}-4`);
  expect((await weightsOf(first ?? '')).equals(await weightsOf(second ?? ''))).toBe(true);
});

it.skipIf(mpis[0]?.skipped !== '')(
  'a process that another launcher started is not taken for one that is alone',
  async () => {
    const env = { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '2', OMPI_ALLOW_RUN_AS_ROOT: '1' };
    const { code, stderr } = await runCli([...STEPS, '--out', at('mixed')], { program: 'bnn-train', env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/the launcher started 2 processes, but Open MPI sees 1/);
  },
  SLOW,
);
