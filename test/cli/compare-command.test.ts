import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
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

test.each([
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
