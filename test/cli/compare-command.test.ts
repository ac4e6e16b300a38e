import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
import type { Comparison } from '../../src/training/comparison/run-comparison-io.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 90_000;
const native = loadNativeAddon();
const SMALL = [
  ...['--limit-train', '256', '--limit-test', '100', '--epochs', '2', '--backend', 'native', '--threads', '1'],
  ...['--estimators', 'ste', '--o-ends', '1,3', '--seeds', '1,2'],
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-compare-'));
});
afterAll(() => rm(folder, { recursive: true }));

test.skipIf(!native.ok)(
  'compares, stops on Ctrl-C, goes on, and does nothing twice',
  async () => {
    const out = join(folder, 'cmp');
    let isSent = false;
    const stopped = await runCli(['compare', ...SMALL, '--out', out], {
      during: (child, stderr) => {
        if (!isSent && /\n2\/6 /.test(stderr)) isSent = child.kill('SIGINT');
      },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain('the same command goes on where it stopped');

    const { code, events, stderr } = await runCli(['compare', ...SMALL, '--out', out, '--json']);
    expect({ code, stderr: stderr.match(/done before/g)?.length }).toEqual({ code: 0, stderr: expect.any(Number) });
    const result = events().at(-1)!;
    expect(result).toMatchObject({ event: 'result', isComplete: true, seeds: [1, 2] });
    const arms = result['arms'] as { name: string; runs: object[]; spread: Record<string, { mean: number }> }[];
    expect(arms.map(({ name, runs }) => [name, runs.length])).toEqual([
      ['ste', 2],
      ['reste o=1', 2],
      ['reste o=3', 2],
    ]);
    // The paper's finding, which holds for any weights: a larger power lies nearer to sign.
    expect(arms[2]!.spread['estimatingError']!.mean).toBeLessThan(arms[1]!.spread['estimatingError']!.mean);
    expect(JSON.parse(await readFile(join(out, 'results.json'), 'utf8'))).toMatchObject({ version: 1, arms });
    expect(await readFile(join(out, 'equilibrium.svg'), 'utf8')).toContain('</svg>');
    expect((await readdir(join(out, 'runs'))).length).toBe(6);

    const again = await runCli(['compare', ...SMALL, '--out', out]);
    expect(again.stderr.match(/done before/g)).toHaveLength(6);
    expect(again.stdout).toMatch(/arm +n +test % .*\n[- ]+\nste +2 +[\d.]+ ± [\d.]+ +- /);
  },
  SLOW,
);

test.skipIf(!native.ok)(
  'chooses a learning rate for each arm, with other seeds and held-out pictures; keeps predictions and the environment; writes tables',
  async () => {
    const out = join(folder, 'tuned');
    const args = [
      ...['--limit-train', '320', '--validation', '64', '--limit-test', '100', '--epochs', '1', '--batch-size', '64'],
      ...[
        '--backend',
        'native',
        '--threads',
        '1',
        '--estimators',
        'ste,adaste',
        '--arm',
        'base, "quoted":clampWeights=1',
      ],
      ...['--tune-lrs', '0.00001,0.01', '--seeds', '1,2', '--out', out],
    ];
    const { code, events } = await runCli(['compare', ...args, '--json']);
    expect(code).toBe(0);
    const all = events();
    expect(all.filter(({ event }) => event === 'tuned').map(({ lr }) => lr)).toEqual([0.01, 0.01, 0.01]);
    const { arms, environment } = all.at(-1) as never as Comparison;
    expect(arms.map(({ name, runs }) => [name, runs.length])).toEqual([
      ['base, "quoted"', 2],
      ['ste', 2],
      ['adaste', 2],
    ]);
    expect(arms[2]!.overrides).toEqual({ estimator: 'ste', weightEstimator: 'adaste', lr: 0.01 });
    expect(environment).toMatchObject({ node: process.versions.node, bnnToolchain: expect.any(String) });
    const read = async (name: string) => readFile(join(out, name), 'utf8');
    const first = JSON.parse(await read('runs/ste-seed-1/predictions.json'));
    const hits = first.predictions.filter((label: number, i: number) => label === first.labels[i]).length;
    expect([first.predictions.length, hits / 100]).toEqual([100, arms[1]!.runs[0]!.testTop1]);
    const { onlyThis, onlyFirst } = arms[1]!.disagreements[0]!;
    expect((onlyThis - onlyFirst) / 100).toBeCloseTo(arms[1]!.runs[0]!.testTop1 - arms[0]!.runs[0]!.testTop1, 12);
    expect(JSON.parse(await read('runs/ste-seed-1/environment.json'))).toMatchObject({
      threads: 1,
      backend: expect.stringContaining('native'),
    });
    const csv = (await read('results.csv')).trimEnd().split('\r\n');
    expect(csv).toHaveLength(7);
    expect(csv[1]).toMatch(/^"base, ""quoted""",1,1,0\.01,/);
    expect(await read('results.tex')).toContain('\\begin{tabular}{lrrrr}');
  },
  SLOW,
);

test.skipIf(!native.ok)(
  'goes on without a run that diverges, says so, and ends well',
  async () => {
    const out = join(folder, 'diverging');
    const args = [
      ...['--limit-train', '64', '--limit-test', '50', '--epochs', '1', '--batch-size', '8', '--backend', 'native'],
      ...['--threads', '1', '--arm', 'base:', '--arm', 'wild:optimizer=sgd,lr=1e6,weightDecay=1e6', '--seeds', '1,2'],
    ];
    const { code, stdout, stderr } = await runCli(['compare', ...args, '--out', out]);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^2\/4 {2}wild seed 1: diverged, left out: the loss became (NaN|Infinity) in epoch 1, batch \d$/m,
    );
    expect(stdout).toMatch(/\nwild +0 +2 +- /);
    // Of each of four trainings.
    expect(stderr.match(/^note: an epoch is 8 steps of 8 pictures/gm)).toHaveLength(1);
    const again = await runCli(['compare', ...args, '--out', out, '--json']);
    expect(again.code).toBe(0);
    const diverged = again.events().filter(({ event }) => event === 'diverged');
    expect(diverged).toEqual(
      [1, 2].map((seed) => expect.objectContaining({ arm: 'wild', seed, isNew: false, message: expect.any(String) })),
    );
    expect(again.events().at(-1)).toMatchObject({ event: 'result', isComplete: true });
  },
  SLOW,
);

test.each([
  [['--tune-lrs', '0.1,0.2'], 'learning rates are chosen by held-out pictures, and none are held out'],
  [['--tune-lrs', '0.1', '--validation', '9', '--lrs', '0.1'], 'arm "ste" has a learning rate'],
  [['--tune-lrs', '0.1', '--validation', '9', '--tune-seeds', '1'], 'seed 1 would choose a rate and be compared'],
  [['--arm', 'a:optimizer=bop,weightEstimator=ede', '--estimators', 'ste'], 'weightEstimator is ede, but bop'],
  [['--arm', 'a:lr=x'], 'lr is "x"'],
  [['--estimators', 'ste,magic'], 'estimator is "magic"'],
  [['--seeds', '1,1'], 'a seed is given twice'],
  [['--o-ends', '1,x'], "'1,x' is no value for --o-ends"],
  [['--estimators', 'ste,ste'], '"ste" would be compared with itself'],
])(
  'usage error: %j',
  async (args, message) => {
    const { code, stderr } = await runCli(['compare', ...args, '--out', join(folder, 'never')]);
    expect(code).toBe(2);
    expect(stderr).toContain(`error[E_USAGE] bnn compare: ${message}`);
  },
  SLOW,
);
