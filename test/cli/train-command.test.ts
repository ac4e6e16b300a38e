import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 60_000;
const SMALL = ['--limit-train', '512', '--limit-test', '200', '--backend', 'native', '--threads', '1'];

const native = loadNativeAddon();
const skipped = native.ok ? '' : ` (skipped: ${native.reason})`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-train-'));
});
afterAll(() => rm(folder, { recursive: true }));

test(
  'a network or data that do not exist',
  async () => {
    const data = join(folder, 'no-data');
    const out = join(folder, 'never');
    const [network, dataset] = await Promise.all([
      runCli(['train', '--model', 'resnet-20', '--out', out]),
      runCli([
        'train',
        '--dataset',
        'cifar10',
        '--data',
        data,
        '--out',
        join(folder, 'no-data-run'),
        '--backend',
        'cpu',
      ]),
    ]);
    expect(network).toMatchObject({ code: 1, stdout: '' });
    expect(network.stderr).toMatch(
      /^error\[E_NOT_FOUND\] bnn train: .*"resnet-20"\n {2}hint: did you mean "resnet20"\?/,
    );
    expect(dataset).toMatchObject({ code: 1, stdout: '' });
    expect(dataset.stderr).toMatch(/^error\[E_NOT_FOUND\] bnn train: /);
    expect(dataset.stderr).toContain(`  at ${data}`);
    expect(await readdir(folder)).toEqual([]);
  },
  SLOW,
);

test(
  'pictures that cannot be trained on: no test split, or smaller than what is cut out of them',
  async () => {
    const data = join(folder, 'one-split');
    await mkdir(join(data, 'train', 'cats'), { recursive: true });
    const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } });
    await picture.png().toFile(join(data, 'train', 'cats', '1.png'));
    const options = ['--backend', 'cpu', '--image-size', '8', '--dataset', 'image-folder', '--data'];
    const [split, cutout] = await Promise.all([
      runCli(['train', ...options, data, '--out', join(folder, 'no-test')]),
      runCli(['train', '--backend', 'cpu', '--cutout', '28', '--out', join(folder, 'all-cut')]),
    ]);
    expect(split.code).toBe(1);
    expect(split.stderr).toMatch(
      /^error\[E_NOT_FOUND\] bnn train: the data set has no test pictures\n {2}at .*one-split/,
    );
    expect(cutout.code).toBe(2);
    expect(cutout.stderr).toContain('cutout is 28, the pictures have 28×28 pixels');
    await rm(data, { recursive: true });
  },
  SLOW,
);

test(
  'one class only is said, and what is not taken of the folders too',
  async () => {
    const data = join(folder, 'one-class');
    for (const split of ['train', 'test']) {
      await mkdir(join(data, split, 'cats'), { recursive: true });
      const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } });
      await picture.png().toFile(join(data, split, 'cats', '1.png'));
    }
    await writeFile(join(data, 'train', 'cats', 'notes.txt'), 'text');
    const options = ['--backend', 'cpu', '--image-size', '8', '--dataset', 'image-folder', '--data', data];
    const { code, stderr } = await runCli(['train', ...options, '--out', join(folder, 'one-class-run')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^note: .*train: 1 left out: other files \.txt \(1\); e\.g\. .*notes\.txt$/m);
    expect(stderr).toMatch(
      /^error\[E_SHAPE\] bnn train: all pictures are of one class, "cats": there is nothing to tell apart\n {2}at .*one-class/m,
    );
  },
  SLOW,
);

describe.skipIf(!native.ok)(`training on the native backend${skipped}`, () => {
  test(
    'a complete run says so when it is resumed, and starts another one',
    async () => {
      const out = join(folder, 'complete');
      const one = ['--epochs', '1', ...SMALL];
      expect((await runCli(['train', '--out', out, ...one])).code).toBe(0);
      const [resumed, started] = await Promise.all([
        runCli(['train', '--resume', '--out', out]),
        runCli(['train', '--init', out, '--out', join(folder, 'from-run'), ...one]),
      ]);
      expect(resumed.code).toBe(0);
      expect(resumed.stderr).toContain('complete after 1 epoch: nothing is left to train');
      expect(resumed.stderr).not.toContain('| epoch |');
      expect(resumed.stdout).not.toContain('images/s');
      expect(started.code).toBe(0);
      expect(started.stderr).toContain('model  complete, ');
    },
    SLOW,
  );

  test(
    'of two trainings in one folder, one is refused',
    async () => {
      const out = join(folder, 'shared');
      const train = () => runCli(['train', '--epochs', '2', '--out', out, ...SMALL]);
      const runs = await Promise.all([train(), train()]);
      expect(runs.map(({ code }) => code).sort()).toEqual([0, 2]);
      // Where one was done before the other looked, it finds a run.
      const { stderr } = runs.find(({ code }) => code === 2)!;
      expect(stderr).toMatch(/another training is using this folder|already holds a run/);
      expect((await readFile(join(out, 'history.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(2);
    },
    SLOW,
  );

  test(
    'a run, its events, and what must not be done to its folder',
    async () => {
      const out = join(folder, 'run');
      const run = await runCli(['train', '--epochs', '2', '--out', out, '--json', ...SMALL]);
      expect(run.code).toBe(0);
      const events = run.events();
      expect(events.map(({ event }) => event)).toEqual(['start', 'epoch', 'epoch', 'result']);
      expect(events[0]).toMatchObject({
        run: out,
        recipe: { model: 'binarynet-mini', epochs: 2 },
        dataset: { name: 'mnist', train: 512, test: 200 },
        backend: 'native',
        stepsPerEpoch: 4,
      });
      expect(events[2]).toMatchObject({ epoch: 2, testTop1: expect.any(Number) as number });
      expect(events[3]).toMatchObject({
        run: out,
        epochs: 2,
        seconds: expect.any(Number) as number,
        imagesPerSecond: expect.any(Number) as number,
        testTop1: events[2]!['testTop1'],
        interrupted: false,
      });
      // One opening block and one line per epoch: stderr is no terminal here.
      expect(run.stderr).toMatch(
        /^note: an epoch is 4 steps of 128 pictures.*\nbnn-train \d.*seed 1\nmodel [\s\S]*\n\| epoch \|.*\n\| +1 \|.*\n\| +2 \|.*\n$/,
      );

      const [again, other, exported] = await Promise.all([
        runCli(['train', '--epochs', '2', '--out', out, ...SMALL]),
        runCli(['train', '--resume', '--out', out, '--lr', '0.5']),
        runCli(['export', out, '-o', join(folder, 'run.onnx'), '--verify', '--json']),
      ]);
      expect(again).toMatchObject({ code: 2, stdout: '' });
      expect(again.stderr).toMatch(/already holds a run\n {2}at .*\n {2}hint: .*--resume/);
      expect(other.code).toBe(2);
      expect(other.stderr).toMatch(/lr was 0.005 and is now 0.5/);
      expect(exported.events()[0]).toMatchObject({ binaryLayers: 2, verification: { passed: true } });
    },
    SLOW,
  );

  test(
    'Ctrl-C saves, says how to go on, and the resumed run ends as if never stopped',
    async () => {
      const recipe = ['--epochs', '3', ...SMALL];
      const out = join(folder, 'stopped');
      let isSent = false;
      const stopped = await runCli(['train', '--out', out, ...recipe], {
        during: (child, stderr) => {
          if (!isSent && /\n\| +1 \|/.test(stderr)) isSent = child.kill('SIGINT');
        },
      });
      expect(stopped.code).toBe(130);
      expect(stopped.stderr).toContain(`interrupted: the checkpoint is ${join(out, 'last')}`);
      expect(stopped.stderr).toContain(`bnn-train --resume --out ${out}`);
      const whole = join(folder, 'whole');
      const [resumed] = await Promise.all([
        runCli(['train', '--resume', '--out', out]),
        runCli(['train', '--out', whole, '--quiet', ...recipe]),
      ]);
      expect(resumed.code).toBe(0);
      expect(resumed.stdout).toMatch(/next +bnn-export .*stopped -o stopped\.onnx/);
      const model = (run: string): Promise<Buffer> => readFile(join(run, 'last', 'model.onnx'));
      expect((await model(out)).equals(await model(whole))).toBe(true);
    },
    SLOW,
  );

  test(
    'a run goes on when nobody reads its events any more',
    async () => {
      const out = join(folder, 'unread');
      const { code, stdout } = await runCli(['train', '--epochs', '2', '--out', out, '--json', '-v', ...SMALL], {
        during: (child) => child.stdout?.destroy(),
      });
      expect(code).toBe(0);
      expect(stdout).not.toContain('"result"');
      expect((await readFile(join(out, 'history.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(2);
    },
    SLOW,
  );

  test(
    'a disk that is full at the first checkpoint stops the run before any work, and the folder stays free',
    async () => {
      const out = join(folder, 'full');
      const full = await runCli(['train', '--epochs', '1', '--out', out, ...SMALL], { largestFileBytes: 102_400 });
      expect(full).toMatchObject({ code: 1, stdout: '' });
      expect(full.stderr).toContain(`error[E_IO] bnn train: cannot write: `);
      expect(full.stderr).toContain(`  at ${join(out, 'last')}`);
      const recipe = join(folder, 'recipe.json');
      await writeFile(recipe, JSON.stringify({ description: 'one epoch', epochs: 7, lr: 0.001 }));
      const again = await runCli(['train', recipe, '--epochs', '1', '--out', out, '--json', ...SMALL]);
      expect(again.code).toBe(0);
      expect(again.events()[0]).toMatchObject({ event: 'start', recipe: { epochs: 1, lr: 0.001 } });
    },
    SLOW,
  );
});
