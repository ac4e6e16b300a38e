import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { encodePreprocessing, PREPROCESSING_KEY } from '../../src/core/pictures/preprocessing.ts';
import { loadDataset } from '../../src/data/load-dataset.ts';
import { defaultRecipe, parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import type { RecipeInput } from '../../src/training/recipes/recipe.ts';
import { saveCheckpoint } from '../../src/training/sessions/checkpoint-io.ts';
import { writeRecipe } from '../../src/training/sessions/run-folder-io.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { formatCard, parseCard, readCard } from '../../tools/model-card/card.ts';
import { formatCardReadme } from '../../tools/model-card/card-readme.ts';
import { findRecipeFile } from '../../tools/model-card/recipe-file.ts';
import { runValidation } from '../../tools/model-card/validate-card.ts';
import { ROOT, runCli, runSource } from '../cli/spawn-cli.ts';
import { linkSample, SAMPLE, SAMPLE_NOTE } from '../data/imagenet-sample.ts';
import { readMnist } from '../data/mnist-files.ts';
import { sharedData } from '../data/shared-data.ts';
import { missingAddon, missingOps } from '../inference/native-parts.ts';

const MODELS = join(ROOT, 'models');
const CHOSEN = ['--selection', 'By nothing: it is not trained.'];
const SLOW = 240_000;
const hasOps = missingAddon === undefined && missingOps === undefined;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-card-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
});

const sha256 = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

/** What holds for the folder of every trained model. */
async function expectWholeModel(path: string): Promise<void> {
  const text = await readFile(join(path, 'card.json'), 'utf8');
  const card = parseCard(text, path);
  expect(text).toBe(formatCard(card));
  expect(card.name).toBe(basename(path));
  expect(await readFile(join(path, 'README.md'), 'utf8')).toBe(formatCardReadme(card));
  const model = join(path, 'model.onnx');
  expect(card.figures.sha256).toBe(await sha256(model));
  expect(card.figures.fileBytes).toBe((await readFile(model)).length);
  const recipe = parseRecipe([{ ...card.recipe.fields }]);
  expect(await findRecipeFile(MODELS, recipe)).toBe(card.recipe.file);
  if ((await readdir(path)).includes('latent.onnx')) {
    expect(await sha256(join(path, 'latent.onnx'))).toBe(card.latent.sha256);
  }
}

const folders = (await readdir(MODELS, { withFileTypes: true })).filter((entry) => entry.isDirectory());
const shipped = folders.filter(({ name }) => name !== 'unfinished');
it.each(shipped.map(({ name }) => name))('models/%s is whole', (name) => expectWholeModel(join(MODELS, name)));

it.each(shipped.map(({ name }) => name))(
  'models/%s: the front matter has what model hubs read, as measured',
  async (name) => {
    const card = await readCard(join(MODELS, name));
    const [before, matter = ''] = (await readFile(join(MODELS, name, 'README.md'), 'utf8')).split('---\n');
    expect(before).toBe('');
    const lines = matter.trim().split('\n');
    expect(lines).toEqual(
      expect.arrayContaining(['license: apache-2.0', 'datasets: [uoft-cs/cifar10]', `  - name: ${name}`]),
    );
    const values = lines.flatMap((line) => /type: (\w+), name: ".*", value: ([\d.]+)/.exec(line)?.slice(1) ?? []);
    expect(values).toEqual([
      'accuracy',
      String(card.figures.packedTop1),
      'top_5_accuracy',
      String(card.figures.packedTop5),
    ]);
  },
);

/** Share of the MNIST test pictures that a file classifies rightly, from the raw files with onnxruntime alone. */
async function mnistTop1(model: string, mean: number, std: number): Promise<number> {
  const pixels = (await readMnist('t10k-images-idx3-ubyte')).subarray(16);
  const labels = (await readMnist('t10k-labels-idx1-ubyte')).subarray(8);
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  const x = Float32Array.from(pixels, (p) => (p / 255 - mean) / std);
  let right = 0;
  for (let i = 0; i < labels.length; i += 500) {
    const input = new ort.Tensor('float32', x.subarray(i * 784, (i + 500) * 784), [500, 1, 28, 28]);
    const { logits } = await session.run({ input });
    for (let j = 0; j < 500; j++) {
      const row = [...(logits!.data as Float32Array).subarray(j * 10, j * 10 + 10)];
      if (row.indexOf(Math.max(...row)) === labels[i + j]) right++;
    }
  }
  await session.release();
  return right / labels.length;
}

/** Runs the validation of MNIST models, which has no program of its own. */
async function validate(path: string, ...args: string[]): Promise<{ code: unknown; text: string }> {
  let text = '';
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((chunk) => {
      text += chunk.toString();
      return true;
    }),
  );
  process.exitCode = undefined;
  await runValidation('validate-mnist', 'mnist', [path, ...args]).finally(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return { code: process.exitCode ?? 0, text };
}

describe('a model trained on MNIST', { timeout: SLOW }, () => {
  let run: string;
  let card: string;
  beforeAll(async () => {
    run = join(folder, 'run');
    card = join(folder, 'small');
    const backend = missingAddon === undefined ? 'native' : 'cpu';
    const few = ['--epochs', '1', '--limit-train', '128', '--limit-test', '50', '--batch-size', '16'];
    const trained = await runCli(['train', '--out', run, '--seed', '5', '--backend', backend, ...few]);
    expect(trained.code, trained.stderr).toBe(0);
    const made = await runSource('tools/make-card.ts', [run, ...CHOSEN, '--out', card, '--with-latent']);
    expect(made.code, made.stderr).toBe(0);
  }, SLOW);

  it('becomes a folder whose figures onnxruntime confirms', async () => {
    await expectWholeModel(card);
    const { figures, recipe, training, latent } = await readCard(card);
    const model = join(card, 'model.onnx');
    const statistics = await loadDataset('mnist', { limitTrain: 128 });
    const [mean = 0, std = 1] = [statistics.mean[0], statistics.std[0]];
    const top1 = await mnistTop1(model, mean, std);
    expect(figures).toMatchObject({
      testPictures: 10_000,
      packedTop1: top1,
      opLibraryTop1: hasOps ? top1 : null,
      latentTop1: await mnistTop1(join(run, 'last', 'model.onnx'), mean, std),
      oneBitParameters: 32 * 64 * 9 + 64 * 64 * 9,
    });
    expect(figures.agreement).toBeGreaterThanOrEqual(0.999);
    expect(recipe).toMatchObject({ file: null, fields: { seed: 5, epochs: 1, limitTrain: 128 } });
    expect(recipe.fields).not.toHaveProperty('data');
    expect(training).toMatchObject({ checkpoint: 'last', epochs: 1, steps: 8 });
    expect(latent.sha256).toBe(await sha256(join(run, 'last', 'model.onnx')));
    const exported = join(folder, 'exported.onnx');
    expect((await runCli(['export', run, '-o', exported])).code).toBe(0);
    expect(await sha256(exported)).toBe(figures.sha256);
  });

  it('is reproduced, with its latent form and without', async () => {
    const whole = await validate(card);
    expect(whole).toMatchObject({ code: 0, text: expect.stringContaining(' 0 differ') });
    expect(whole.text.match(/ equal$/gm)).toHaveLength(hasOps ? 13 : 11);
    const bare = join(folder, 'bare');
    await cp(card, bare, { recursive: true });
    await rm(join(bare, 'latent.onnx'));
    const without = await validate(bare);
    expect(without).toMatchObject({ code: 0, text: expect.stringContaining('the latent form is not here') });
    const given = await validate(bare, '--latent', run, '--json');
    const [result] = given.text.trim().split('\n').slice(-1);
    expect(JSON.parse(result ?? '')).toMatchObject({ event: 'result', differ: 0 });
    const wrong = await validate(bare, '--latent', join(bare, 'model.onnx'));
    expect(wrong).toMatchObject({ code: 1, text: expect.stringContaining('that of the card has') });
  });

  it('does not pass with another figure, nor with another file', async () => {
    const changed = join(folder, 'changed');
    await cp(card, changed, { recursive: true });
    const honest = { ...(await readCard(changed)), name: 'changed' };
    const figures = { ...honest.figures, packedTop1: (honest.figures.packedTop1 ?? 0) + 1e-4, testPictures: 9999 };
    await writeFile(join(changed, 'card.json'), formatCard({ ...honest, figures }));
    const result = await validate(changed);
    expect(result).toMatchObject({ code: 1, text: expect.stringContaining(' 2 differ') });
    expect(result.text).toMatch(/^top-1, packed, stock onnxruntime .* DIFFERS$/m);
    await expect(expectWholeModel(changed)).rejects.toThrow();

    await writeFile(join(changed, 'card.json'), formatCard(honest));
    await writeFile(join(changed, 'README.md'), formatCardReadme(honest));
    await expectWholeModel(changed);
    await cp(join(run, 'last', 'model.onnx'), join(changed, 'model.onnx'));
    await expect(expectWholeModel(changed)).rejects.toThrow();
  });

  it('is refused by the tool of another data set, and a folder with other files is not replaced', async () => {
    const refused = await runSource('tools/validate-cifar10.ts', [card]);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('the model is for mnist, validate-cifar10 validates models for cifar10');
    await writeFile(join(folder, 'precious.txt'), '');
    const made = await runSource('tools/make-card.ts', [run, ...CHOSEN, '--out', folder]);
    expect(made).toMatchObject({ code: 2, stdout: '' });
    expect(made.stderr).toContain('the folder holds other files');
    expect(await readdir(folder)).toContain('precious.txt');
  });

  it.each<[string, (card: Record<string, Record<string, unknown>>) => void, string]>([
    ['a missing figure', (c) => delete c['figures']!['agreement'], 'figures.agreement is missing, expected a fraction'],
    [
      'a share beyond 1',
      (c) => (c['figures']!['packedTop1'] = 59.7),
      'figures.packedTop1 is 59.7, expected a fraction',
    ],
    ['a digest that is none', (c) => (c['latent']!['sha256'] = 'x'), 'latent.sha256 is "x", expected 64 hexadecimal'],
    ['an unknown field', (c) => (c['training']!['gpu'] = 1), 'training.gpu is no field of a card'],
    ['a wrong recipe', (c) => (c['recipe']!['fields'] = { lr: 'fast' }), 'lr is "fast", expected a number'],
    ['another version', (c) => Object.assign(c, { version: 2 }), 'version is 2, expected 1'],
  ])('%s is an error that names it', async (_, change, message) => {
    const text = JSON.parse(await readFile(join(card, 'card.json'), 'utf8'));
    change(text);
    expect(() => parseCard(JSON.stringify(text), 'card.json')).toThrow(
      expect.objectContaining({ name: 'BnnError', at: 'card.json', message: expect.stringContaining(message) }),
    );
  });
});

/** The folder of a run that has not learned anything: enough to be measured. */
async function untrainedRun(run: string, input: RecipeInput, data: string): Promise<void> {
  const recipe = parseRecipe([{ ...defaultRecipe(), ...input, data }]);
  const size = recipe.dataset === 'imagenet' ? { imageSize: recipe.imageSize } : {};
  const { classes, channels, height, mean, std, fingerprint } = await loadDataset(recipe.dataset, {
    dir: data,
    ...size,
  });
  const model = buildModel(recipe.model, { seed: 1, classes: classes.length, channels, imageSize: height });
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing({ dataset: recipe.dataset, mean, std, classes }));
  const state = { epoch: 0, batch: 0, step: 0, seconds: 0, best: null, data: fingerprint } as const;
  const partial = { loss: 0, correct: 0, images: 0, seconds: 0, waitMs: 0 };
  await mkdir(run, { recursive: true });
  await saveCheckpoint(join(run, 'last'), { model, optimizer: new Map(), state: { ...state, partial } });
  await writeRecipe(run, recipe);
}

const cifar = sharedData('cifar-10-batches-bin');
it.skipIf(cifar.isMissing)(
  `CIFAR-10: a card is made and reproduced${cifar.isMissing ? ' (skipped: ../shared is not here)' : ''}`,
  async () => {
    const [run, out] = [join(folder, 'cifar-run'), join(folder, 'cifar')];
    await untrainedRun(run, { model: 'binarynet-mini', dataset: 'cifar10' }, cifar.path);
    const made = await runSource('tools/make-card.ts', [run, ...CHOSEN, '--out', out]);
    expect(made.code, made.stderr).toBe(0);
    const again = await runSource('tools/validate-cifar10.ts', [out, '--data', cifar.path, '--latent', run]);
    expect(again.code, again.stderr + again.stdout).toBe(0);
    expect(again.stdout).toMatch(/^test pictures +10,000 +10,000 +equal$/m);
    expect(again.stdout).toContain(`${hasOps ? 13 : 11} of 13 figures equal, 0 differ`);
  },
  SLOW,
);

it.skipIf(SAMPLE.isMissing)(
  `ImageNet: one pass over 200 pictures, a broken one is named${SAMPLE_NOTE}`,
  async () => {
    const data = join(folder, 'imagenet');
    const broken = await linkSample(data, 200);
    const [run, out] = [join(folder, 'imagenet-run'), join(folder, 'imagenet-model')];
    await untrainedRun(run, { model: 'binarynet-mini', dataset: 'imagenet', imageSize: 64 }, data);
    const made = await runSource('tools/make-card.ts', [run, ...CHOSEN, '--out', out]);
    expect(made.code, made.stderr).toBe(0);
    expect(made.stderr).toContain(broken);
    const again = await runSource('tools/validate-imagenet.ts', [out, '--data', data, '--latent', run]);
    expect(again.code, again.stderr + again.stdout).toBe(0);
    expect(again.stdout).toMatch(/^test pictures +199 +199 +equal$/m);
    expect(again.stderr).toContain(`1 broken pictures are left out: ${broken}`);
  },
  SLOW,
);
