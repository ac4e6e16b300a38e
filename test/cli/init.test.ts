import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
import { readModel, writeModel } from '../../src/onnx/model-io.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { mobileCnn, smallCnn } from '../convert/pytorch-style.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 120_000;
const native = loadNativeAddon();
const skipped = native.ok ? '' : ` (skipped: ${native.reason})`;
const SMALL = ['--limit-train', '1280', '--limit-test', '500', '--backend', 'native', '--threads', '1', '--quiet'];

let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-init-'));
  await writeModel(at('small.onnx'), smallCnn());
  await writeModel(at('single.onnx'), smallCnn(1));
  await writeModel(at('seven.onnx'), smallCnn('batch', 7));
  await writeModel(at('mobile.onnx'), mobileCnn());
  await writeModel(at('latent.onnx'), buildModel('binarynet-mini', { seed: 5, imageSize: 28 }));
});
afterAll(() => rm(folder, { recursive: true }));

async function convert(source: string, target: string, ...args: string[]): Promise<void> {
  const run = await runCli(['convert', at(source), '-o', at(target), '--quiet', ...args]);
  expect(run.stderr).toBe('');
  expect(run.code).toBe(0);
}

describe.skipIf(!native.ok)(`bnn-train --init${skipped}`, () => {
  test(
    'float ONNX → bnn-convert --binarize → bnn-train --init → bnn-export → bnn-validate',
    async () => {
      await convert('small.onnx', 'start.onnx', '--binarize');
      const out = at('small');
      const run = await runCli([
        ...[
          'train',
          '--init',
          at('start.onnx'),
          '--epochs',
          '4',
          '--batch-size',
          '64',
          '--out',
          out,
          '--json',
          ...SMALL,
        ],
      ]);
      expect(run.code).toBe(0);
      // Ten classes; without training, a tenth of the pictures is right.
      expect(run.events().at(-1)!['testTop1']).toBeGreaterThan(0.5);
      const digest = createHash('sha256')
        .update(await readFile(at('start.onnx')))
        .digest('hex');
      const recipe = JSON.parse(await readFile(join(out, 'recipe.json'), 'utf8')) as Record<string, unknown>;
      expect(recipe).toMatchObject({ model: '', init: at('start.onnx'), initSha256: digest });
      const exported = await runCli(['export', out, '-o', at('small-packed.onnx'), '--verify', '--json', '--quiet']);
      expect(exported.events().at(-1)).toMatchObject({ binaryLayers: 2, verification: { passed: true } });
      const validated = await runCli([
        ...[
          'validate',
          at('small-packed.onnx'),
          '--dataset',
          'mnist',
          '--limit',
          '500',
          '--against',
          out,
          '--json',
          '--quiet',
        ],
      ]);
      const result = validated.events().at(-1)!;
      expect(result['top1']).toBe(run.events().at(-1)!['testTop1']);
      expect(result['agreement']).toBeGreaterThanOrEqual(0.999);
    },
    SLOW,
  );

  test(
    'depthwise convolutions, ReLU6, Concat, a Softmax at the end, in float: trained, resumed, the same in onnxruntime',
    async () => {
      await convert('mobile.onnx', 'mobile-latent.onnx');
      const args = ['--init', at('mobile-latent.onnx'), '--epochs', '2', '--batch-size', '64', ...SMALL];
      let isSent = false;
      const [whole, stopped] = await Promise.all([
        runCli(['train', ...args, '--out', at('whole'), '--json']),
        runCli(['train', ...args.filter((arg) => arg !== '--quiet'), '--out', at('stopped')], {
          during: (child, stderr) => {
            if (!isSent && /\n\| +1 \|/.test(stderr)) isSent = child.kill('SIGINT');
          },
        }),
      ]);
      expect([whole.code, stopped.code]).toEqual([0, 130]);
      expect(stopped.stderr).toContain('note: node "/Softmax" (Softmax) at the end is left out');
      expect(stopped.stderr).toContain('model  mobile-latent, ');
      // The checkpoint has the network: the file is needed no more.
      await rm(at('mobile-latent.onnx'));
      expect((await runCli(['train', '--resume', '--out', at('stopped'), '--quiet'])).code).toBe(0);
      const model = (run: string): Promise<Buffer> => readFile(join(at(run), 'last', 'model.onnx'));
      expect((await model('stopped')).equals(await model('whole'))).toBe(true);
      const validated = await runCli([
        'validate',
        join(at('whole'), 'last', 'model.onnx'),
        '--dataset',
        'mnist',
        '--limit',
        '500',
        '--json',
        '--quiet',
      ]);
      expect(validated.events().at(-1)!['top1']).toBeCloseTo(Number(whole.events().at(-1)!['testTop1']), 2);
    },
    SLOW,
  );

  test(
    'a file made for one picture at a time, other classes, and a latent model of the zoo',
    async () => {
      await convert('single.onnx', 'single-latent.onnx');
      await convert('seven.onnx', 'seven-latent.onnx');
      const train = (init: string, out: string, ...args: string[]) =>
        runCli(['train', '--init', at(init), '--epochs', '1', '--out', at(out), ...SMALL, ...args]);
      const [single, seven, replaced, latent] = await Promise.all([
        train('single-latent.onnx', 'single'),
        train('seven-latent.onnx', 'seven'),
        train('seven-latent.onnx', 'replaced', '--new-classifier'),
        train('latent.onnx', 'latent'),
      ]);
      expect([single.code, seven.code, replaced.code, latent.code]).toEqual([0, 1, 0, 0]);
      expect(seven.stderr).toMatch(
        /error\[E_SHAPE\] bnn train: the network tells 7 classes apart, mnist has 10\n.*\n.*--new-classifier/,
      );
      // The network of a recipe gives way to a start on the command line.
      await writeFile(at('mini.json'), JSON.stringify({ model: 'binarynet-mini', dataset: 'mnist', epochs: 1 }));
      const started = ['--init', at('latent.onnx'), '--out', at('started'), ...SMALL];
      expect((await runCli(['train', at('mini.json'), ...started])).code).toBe(0);
      const recipe = JSON.parse(await readFile(join(at('started'), 'recipe.json'), 'utf8'));
      expect(recipe).toMatchObject({ model: '', init: at('latent.onnx') });
      const { graph } = await readModel(join(at('replaced'), 'last', 'model.onnx'));
      expect(graph.outputs[0]!.shape!.at(-1)).toBe(10);
    },
    SLOW,
  );
});

test(
  'what does not fit is said before any work',
  async () => {
    await writeFile(at('recipe.json'), JSON.stringify({ init: at('latent.onnx'), initSha256: '0'.repeat(64) }));
    await writeModel(at('colour.onnx'), buildModel('resnet20', { seed: 1 }));
    await writeModel(at('older.onnx'), smallCnn());
    await writeFile(at('both.json'), JSON.stringify({ init: at('latent.onnx'), model: 'resnet20' }));
    const [absent, both, inOne, digest, colour, older] = await Promise.all([
      runCli(['train', '--init', at('nobody.onnx'), '--out', at('never-1')]),
      runCli(['train', '--init', at('latent.onnx'), '--model', 'resnet20', '--out', at('never-2')]),
      runCli(['train', at('both.json'), '--out', at('never-6')]),
      runCli(['train', at('recipe.json'), '--out', at('never-3')]),
      runCli(['train', '--init', at('colour.onnx'), '--backend', 'cpu', '--out', at('never-4')]),
      runCli(['train', '--init', at('older.onnx'), '--backend', 'cpu', '--out', at('never-5')]),
    ]);
    expect(absent).toMatchObject({ code: 1, stdout: '' });
    expect(absent.stderr).toContain('error[E_NOT_FOUND] bnn train: ');
    expect(both.code).toBe(2);
    for (const { stderr } of [both, inOne]) expect(stderr).toContain('give either --init or --model');
    expect(digest.stderr).toContain(`the recipe names ${'0'.repeat(64)}`);
    expect(colour.stderr).toMatch(
      /the network takes input\[N, 3, 32, 32\], the pictures of mnist are \[N, 1, 28, 28\]/,
    );
    expect(older.stderr).toMatch(/the model is of operator set 13, expected 17\n.*\n.*bnn-convert/);
  },
  SLOW,
);
