import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, test } from 'vitest';
import { findModel } from '../../src/inference/model-source-io.ts';
import { countParameters, type ModelListing, NETWORK_PARAMETERS } from '../../src/tasks/list-models.ts';
import { readRecipeFile, withModelFiles } from '../../src/tasks/read-recipe.ts';
import { defaultRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { ZOO } from '../../src/zoo/zoo.ts';
import { ROOT, runCli } from './spawn-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-models-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('lists networks, recipes and trained models, in lines of 80 characters', async () => {
  const { code, stdout } = await runCli(['models']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^resnet18 +3×224×224 +11,690,536/m);
  expect(stdout).toMatch(/^mnist-quickstart +binarynet-mini +mnist +3$/m);
  expect(stdout).toMatch(/^cifar10-resnet8-bireal +resnet8-bireal +cifar10 +229 kB +85\.40 %$/m);
  for (const line of stdout.split('\n')) expect([...line].length).toBeLessThanOrEqual(80);
});

it('--json: the same as an object, with what the cards say', async () => {
  const { events } = await runCli(['models', '--json']);
  const [result] = events() as unknown as [ModelListing & { event: string }];
  expect(result.event).toBe('result');
  expect(result.networks.map(({ name }) => name)).toEqual(Object.keys(NETWORK_PARAMETERS));
  const card = JSON.parse(readFileSync(join(ROOT, 'models/cifar10-resnet8-bireal/card.json'), 'utf8')) as {
    figures: { packedTop1: number };
  };
  const trained = result.trained.find(({ name }) => name === 'cifar10-resnet8-bireal');
  expect(trained).toMatchObject({ top1: card.figures.packedTop1, testPictures: 10_000, network: 'resnet8-bireal' });
});

it('--plugin: networks of a plug-in are listed, too', async () => {
  const { events } = await runCli(['models', '--json', '--plugin', 'docs/extend/network.js']);
  const [result] = events() as unknown as [ModelListing];
  const own = result.networks.filter(({ name }) => !(name in NETWORK_PARAMETERS));
  expect(own).toHaveLength(1);
  expect(own[0]?.oneBitParameters).toBeGreaterThan(0);
});

test.each(Object.keys(NETWORK_PARAMETERS))(
  'the parameters of %s are those of the network',
  (name) => {
    expect(countParameters(name, ZOO)).toEqual(NETWORK_PARAMETERS[name]);
  },
  120_000,
);

test('every network has its parameters in the list', () => {
  const bases = [...ZOO.values()].filter(({ precision }) => precision === '1w1a').map(({ name }) => name);
  expect(Object.keys(NETWORK_PARAMETERS)).toEqual(bases);
});

test('a recipe by its name; a file of that name comes first', async () => {
  expect(await readRecipeFile('mnist-quickstart')).toMatchObject({ model: 'binarynet-mini', epochs: 3 });
  const file = join(folder, 'mnist-quickstart');
  writeFileSync(file, '{"epochs": 7}');
  expect(await readRecipeFile(file)).toEqual({ epochs: 7 });
});

test('a recipe that is not there: the nearest name', async () => {
  await expect(readRecipeFile('models/mnist-quickstar.json')).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    at: 'models/mnist-quickstar.json',
    hint: expect.stringContaining('mnist-quickstart is one of the package') as string,
  });
});

test('a trained model by its name: packed to run it, latent to train on', async () => {
  const packed = await findModel('cifar10-resnet8-bireal');
  expect(packed.path).toBe(join(ROOT, 'models/cifar10-resnet8-bireal/model.onnx'));
  const recipe = await withModelFiles({ ...defaultRecipe(), init: 'cifar10-resnet8-bireal' });
  expect(recipe.init).toBe(join(ROOT, 'models/cifar10-resnet8-bireal/latent.onnx'));
  await expect(findModel('no-such-model')).rejects.toMatchObject({
    hint: expect.stringContaining('bnn models') as string,
  });
});
