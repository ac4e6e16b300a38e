import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodePreprocessing, PREPROCESSING_KEY } from '../../src/core/pictures/preprocessing.ts';
import { readModel, writeModel } from '../../src/onnx/model-io.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { writePicture } from '../data/pictures.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 60_000;
const SIZE = 64;
const CLASSES = ['cat', 'dog'];
const MEAN = [0.5, 0.4, 0.3];
const STD = [0.25, 0.2, 0.5];

let folder: string;
let data: string;
let latent: string;
let bare: string;
/** As bnn-convert describes pictures of a network from elsewhere. */
let described: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-int8-cli-'));
  data = join(folder, 'data');
  for (const [i, name] of CLASSES.entries()) {
    for (const split of ['train', 'test']) {
      for (let k = 0; k < 4; k++) await writePicture(join(data, split, name, `${k}.png`), SIZE + 9 * k, SIZE + 5 * i);
    }
  }
  [latent, bare] = [join(folder, 'latent.onnx'), join(folder, 'bare.onnx')];
  const model = buildModel('resnet18', { seed: 1, imageSize: SIZE, classes: 2 });
  addBnnFunctions(model);
  await writeModel(bare, model);
  const preprocessing = { dataset: 'image-folder', mean: MEAN, std: STD, classes: CLASSES };
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(preprocessing));
  await writeModel(latent, model);
  described = join(folder, 'described.onnx');
  const converted = await runCli(['convert', bare, '-o', described, '--normalize', 'imagenet']);
  expect(converted.code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));

test(
  'the first convolution becomes one of 8-bit integers',
  async () => {
    const [plain, int8] = [join(folder, 'plain.onnx'), join(folder, 'int8.onnx')];
    await runCli(['export', latent, '-o', plain]);
    const exported = await runCli(['export', latent, '-o', int8, '--int8', '--data', data, '--verify', '--json']);
    expect({ code: exported.code, stderr: exported.stderr }).toEqual({ code: 0, stderr: '' });
    expect(exported.events().at(-1)).toMatchObject({
      event: 'result',
      binaryLayers: 16,
      floatLayers: 4,
      int8: { layers: ['conv1'], dataset: 'image-folder', root: data, pictures: 8 },
      verification: { passed: true, int8: { images: 8, passed: true } },
    });
    expect((await stat(int8)).size).toBeLessThan((await stat(plain)).size);
    const model = await readModel(int8);
    expect([model.irVersion, model.opsets.get('')]).toEqual([8, 17]);
    // Of pixels from 0 to 1, after normalization: (0 - 0.5) / 0.25 and (1 - 0.4) / 0.2.
    const quantize = [...model.graph.nodes()].find((node) => node.is('QuantizeLinear'))!;
    expect(quantize.requiredInput(1).constant!.data[0]).toBeCloseTo((3 - -2) / 255, 6);
    expect(quantize.requiredInput(2).constant!.data[0]).toBe(Math.round((2 / 5) * 255));

    const args = ['--dataset', 'image-folder', '--data', data, '--against', plain];
    const [validated, inspected] = await Promise.all([runCli(['validate', int8, ...args]), runCli(['inspect', int8])]);
    expect(validated.stderr).toContain('the model rounds values to 8-bit integers');
    // All of two classes are among the first five.
    expect(validated.stdout).toContain('top-1');
    expect(validated.stdout).not.toContain('top-5');
    expect(validated.stdout).toMatch(/agreement +\d+\.\d+ % of the pictures get the same class/);
    expect(inspected.stdout).toMatch(/^conv1 +Conv +\[N, 12, 32, 32\] -> \[N, 64, 32, 32\] +8 +0 +12,288 +64 /m);
  },
  SLOW,
);

test(
  'a run knows its data, and its file nothing',
  async () => {
    const run = join(folder, 'run');
    await mkdir(join(run, 'last'), { recursive: true });
    await writeModel(join(run, 'last', 'model.onnx'), await readModel(latent));
    await writeFile(join(run, 'recipe.json'), JSON.stringify({ dataset: 'image-folder', data }));
    const [fromRun, fromFlags] = [join(folder, 'from-run.onnx'), join(folder, 'from-flags.onnx')];
    const flags = ['--dataset', 'image-folder', '--data', data, '--normalize', 'none', '--explain'];
    const [first, second] = await Promise.all([
      runCli(['export', run, '-o', fromRun, '--int8']),
      runCli(['export', bare, '-o', fromFlags, '--int8', ...flags]),
    ]);
    expect([first.code, second.code]).toEqual([0, 0]);
    expect(first.stdout).toMatch(/layers +16 binary, 4 in float: layer2/);
    expect(first.stdout).toMatch(/int8 +conv1, ranges from 8 training pictures of image-folder \(.*data\)/);
    // 64·3·7·7 weights in blocks of 64·12·4·4 bytes, and int32 and scales for 64 channels.
    expect(second.stdout).toMatch(
      /^conv1 +Conv +int8 +QLinearConv +37\.6 kB +9\.66 kB +13\.\d kB +13\.\d kB +13\.\d kB/m,
    );
  },
  SLOW,
);

test.each<readonly [string, () => string[], string, RegExp]>([
  ['no data', () => [latent], 'E_USAGE', /takes ranges from training pictures: .* needs a folder[\s\S]*add --data DIR/],
  [
    'no data set in a converted file',
    () => [described, '--data', data],
    'E_USAGE',
    /the file does not say which[\s\S]*add --dataset and --data/,
  ],
  ['no data set', () => [bare, '--data', data], 'E_USAGE', /does not say which[\s\S]*add --dataset and --data/],
  [
    'no normalization',
    () => [bare, '--data', data, '--dataset', 'image-folder'],
    'E_USAGE',
    /does not say how its pictures were normalized[\s\S]*add --normalize/,
  ],
  [
    'test pictures alone',
    () => [latent, '--data', join(folder, 'tests')],
    'E_NOT_FOUND',
    /has only test pictures here[\s\S]*--data/,
  ],
  ['other pictures', () => [latent, '--dataset', 'mnist'], 'E_SHAPE', /3×64×64.* mnist are 1×28×28/],
  ['the latent form', () => [latent, '--data', data, '--form', 'latent'], 'E_USAGE', /--int8 is about the packed form/],
])(
  '%s: a message, and no file',
  async (_, args, code, message) => {
    await writePicture(join(folder, 'tests', 'test', 'cat', '0.png'), SIZE, SIZE);
    const output = join(folder, 'never.onnx');
    const result = await runCli(['export', ...args(), '-o', output, '--int8']);
    expect(result.code).toBe(code === 'E_USAGE' ? 2 : 1);
    expect(result.stderr).toContain(`error[${code}]`);
    expect(result.stderr).toMatch(message);
    await expect(stat(output)).rejects.toThrow();
  },
  SLOW,
);

test(
  'a network without a layer that gains, and options without --int8',
  async () => {
    const small = 'models/cifar10-resnet8-bireal/latent.onnx';
    const output = join(folder, 'never.onnx');
    const [none, without] = await Promise.all([
      runCli(['export', small, '-o', output, '--int8']),
      runCli(['export', latent, '-o', output, '--data', data]),
    ]);
    expect([none.code, none.stderr]).toEqual([
      1,
      expect.stringMatching(/0\.3 million multiply-adds, they pay from 2\.0/),
    ]);
    expect([without.code, without.stderr]).toEqual([2, expect.stringMatching(/are for --int8, which is not given/)]);
  },
  SLOW,
);
