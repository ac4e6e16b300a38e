/** Plug-ins in `train()`: built-in parts written anew as parts of a plug-in train the same network, and mistakes are said. */

import { execFileSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { loadDataset } from '../../../src/data/load-dataset.ts';
import { completeDataset } from '../../../src/data/sets/plain-dataset.ts';
import { slopeEstimator } from '../../../src/estimators/from-slope.ts';
import { steSchedule } from '../../../src/estimators/ste.ts';
import { readModel } from '../../../src/onnx/model-io.ts';
import { compareRecipes } from '../../../src/tasks/compare-recipes.ts';
import { validateModel } from '../../../src/tasks/validate-model.ts';
import { definePlugin, PLUGIN_TOOLS, type Plugin, type PluginFactory } from '../../../src/training/plugins/plugin.ts';
import { openParts } from '../../../src/training/recipes/parts.ts';
import type { RecipeInput } from '../../../src/training/recipes/recipe.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { readRecipe } from '../../../src/training/sessions/run-folder-io.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const FAST = loadNativeAddon().ok ? 'native' : 'cpu';
const SMALL = { limitTrain: 48, limitTest: 20, batchSize: 16, epochs: 2, backend: FAST, threads: 1, lr: 0.01 } as const;
const BUILT_IN = {
  ...SMALL,
  backend: 'cpu',
  threads: 0,
  flip: true,
  estimator: 'ste',
  optimizer: 'sgd',
  schedule: 'linear',
  weightTransform: 'biper',
};

/** The built-in parts of `BUILT_IN`, written anew. */
const rewritten = definePlugin(({ define, number, createNetwork, layers, loadDataset: load }) => ({
  name: 'rewritten',
  estimators: [
    define.estimator({
      name: 'my-ste',
      roles: ['weight', 'activation'],
      fields: { myClip: number(1, 0, 10, 'my-ste: no gradient beyond this') },
      create: ({ myClip: clip }) => ({
        name: 'my-ste',
        at: () => ({
          name: 'my-ste',
          attributes: null,
          surrogate: (z) => Math.min(clip, Math.max(-clip, z)),
          factor: (z) => Number(Math.abs(z) <= clip),
          gradient: (x, dy) => tf.mul(dy, tf.cast(tf.lessEqual(tf.abs(x), clip), 'float32')),
        }),
      }),
    }),
  ],
  networks: [
    define.network({
      name: 'my-mini',
      describe: 'binarynet-mini',
      fields: {},
      input: { channels: 1, height: 28, width: 28 },
      build: (options) => {
        const net = createNetwork(options.name, options);
        let x = layers.conv(net, net.input, 'conv1', { from: 1, to: 4, kernel: 3 });
        x = layers.batchNorm(net, x, 'bn1', 4);
        x = layers.binaryConv(net, x, 'conv2', { from: 4, to: 4, kernel: 3, stride: 2 });
        layers.classifier(net, layers.globalAverage(net, layers.batchNorm(net, x, 'bn2', 4)), 'fc', 4);
        return net.builder.model;
      },
    }),
  ],
  datasets: [
    define.dataset({
      name: 'my-mnist',
      fields: {},
      load: async ({ limitTrain, limitTest }) => {
        const { train: learned, test, classes } = await load('mnist', { limitTrain, limitTest });
        if (learned.kind !== 'memory' || test.kind !== 'memory') throw new Error('unreachable');
        return { classes, height: 28, width: 28, channels: 1, train: learned, test, mean: [0.1307], std: [0.3081] };
      },
    }),
  ],
  schedules: [
    define.schedule({
      name: 'my-linear',
      fields: {},
      rate: ({ lr, step, totalSteps }) => lr * (1 - step / totalSteps),
    }),
  ],
  weightTransforms: [
    define.weightTransform({
      name: 'my-biper',
      fields: { myFrequency: number(20, 1, 100, 'my-biper: frequency') },
      create: (_epoch, _epochs, { myFrequency: f }) => ({
        forward: (w) => tf.sin(tf.mul(w, f)),
        backward: (w, du) => tf.mul(du, tf.mul(tf.cos(tf.mul(w, f)), f)),
      }),
    }),
  ],
  optimizers: [
    define.optimizer({
      name: 'my-sgd',
      fields: { myMomentum: number(0.9, 0, 1, 'my-sgd: momentum') },
      states: ['velocity'],
      update: ({ param, gradient, state: [velocity = tf.scalar(0)], lr, weightDecay }, { myMomentum }) => {
        const next = tf.add(tf.mul(velocity, myMomentum), tf.add(gradient, tf.mul(param, weightDecay)));
        return [tf.sub(param, tf.mul(next, lr)), next];
      },
    }),
  ],
  augmentations: [
    define.augmentation({ name: 'my-nothing', fields: {}, create: () => () => {} }),
    define.augmentation({
      name: 'my-noise',
      fields: { myNoise: number(40, 0, 255, 'my-noise: largest change of a pixel') },
      create:
        ({ myNoise }) =>
        ({ pixels }, random) => {
          for (let i = 0; i < pixels.length; i++) pixels[i] = Math.min(255, (pixels[i] ?? 0) + random.below(myNoise));
        },
    }),
  ],
}));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-plugins-'));
  await tf.setBackend('cpu');
});
afterAll(() => rm(folder, { recursive: true }));

let runs = 0;
/** A run, and its weights. */
async function trained(recipe: RecipeInput, plugins: readonly (Plugin | PluginFactory | string)[] = [rewritten]) {
  const out = join(folder, `run-${runs++}`);
  const result = await train({ ...SMALL, ...recipe }, { out, plugins });
  const { graph } = await readModel(join(out, 'last/model.onnx'));
  const weights = [...graph.values.values()].flatMap(({ constant }) =>
    constant?.dtype === 'float32' ? [...(constant.data as Float32Array)] : [],
  );
  return { out, weights, history: await readHistory(join(out, 'history.jsonl')), ...result };
}

function expectClose(a: readonly number[], b: readonly number[]): void {
  expect(a).toHaveLength(b.length);
  const largest = a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0);
  expect(largest).toBeLessThan(2e-6);
}

describe('a built-in part written anew as a plug-in’s', () => {
  let before: Awaited<ReturnType<typeof trained>>;
  beforeAll(async () => {
    before = await trained({ ...BUILT_IN, model: 'my-mini' });
  });

  it.each([
    ['estimator', { estimator: 'my-ste' }],
    ['data set', { dataset: 'my-mnist' }],
    ['schedule', { schedule: 'my-linear' }],
    ['weight transform', { weightTransform: 'my-biper' }],
    ['optimizer', { optimizer: 'my-sgd' }],
    ['augmentation', { augment: 'my-nothing' }],
  ])('%s: trains the same network', async (_, choice) => {
    const after = await trained({ ...BUILT_IN, model: 'my-mini', ...choice });
    expectClose(after.weights, before.weights);
    expect(after.history.map(({ lr }) => lr)).toEqual(before.history.map(({ lr }) => lr));
  });

  it('but not with another value of its field', async () => {
    for (const choice of [
      { estimator: 'my-ste', myClip: 0.1 },
      { weightTransform: 'my-biper', myFrequency: 10 },
      { optimizer: 'my-sgd', myMomentum: 0.1 },
      { augment: 'my-noise' },
    ]) {
      expect((await trained({ ...BUILT_IN, model: 'my-mini', ...choice })).weights).not.toEqual(before.weights);
    }
  });

  it('is in no run that does not use it', async () => {
    const { out } = await trained({ ...BUILT_IN, model: 'binarynet-mini', limitTrain: 16, epochs: 1 });
    const recipe = JSON.parse(await readFile(join(out, 'recipe.json'), 'utf8'));
    expect(recipe.plugins).toBeUndefined();
    expect(Object.keys(recipe).filter((name) => name.startsWith('my'))).toEqual([]);
  });
});

it('what augmentations draw depends on seed, epoch and picture alone: a resumed run ends with the same bits', async () => {
  const recipe = { ...SMALL, model: 'my-mini', augment: 'my-noise', padCrop: 2, limitTrain: 64 };
  const whole = await trained(recipe);
  const stop = new AbortController();
  const out = join(folder, 'stopped');
  const options = { out, plugins: [rewritten], signal: stop.signal, onStep: () => stop.abort() };
  expect((await train(recipe, options)).interrupted).toBe(true);
  await train(recipe, { out, plugins: [rewritten], resume: true });
  expect(await readFile(join(out, 'last/model.onnx'))).toEqual(await readFile(join(whole.out, 'last/model.onnx')));
});

it('an augmentation sees each picture once an epoch, as it lies in the data set', async () => {
  const seen: string[] = [];
  const plugin = definePlugin({
    name: 'watching',
    augmentations: [
      {
        name: 'watching',
        fields: {},
        create: () => (picture) => {
          expect([picture.height, picture.width, picture.channels]).toEqual([28, 28, 1]);
          seen.push(picture.pixels.join());
          picture.pixels.fill(0);
        },
      },
    ],
  });
  await trained({ augment: 'watching', limitTrain: 32, limitTest: 16, epochs: 2 }, [plugin]);
  const { train: split } = await loadDataset('mnist', { limitTrain: 32 });
  if (split.kind !== 'memory') throw new Error('unreachable');
  const pictures = Array.from({ length: 32 }, (_, i) => split.images.subarray(784 * i, 784 * (i + 1)).join());
  expect(seen.sort()).toEqual([...pictures, ...pictures].sort());
});

describe('runs do not share what plug-ins remember', () => {
  it('a factory is called for each run, and nothing is left of it', async () => {
    const counts: number[] = [];
    let calls = 0;
    const counting: PluginFactory = ({ define }) => {
      calls++;
      let count = 0;
      const rate = ({ lr }: { readonly lr: number }): number => {
        counts.push(count++);
        return lr;
      };
      return { name: 'counting', schedules: [define.schedule({ name: 'counting', fields: {}, rate })] };
    };
    const recipe = { schedule: 'counting', limitTrain: 16, epochs: 1 };
    await trained(recipe, [counting]);
    await trained(recipe, [counting]);
    expect(calls).toBe(2);
    expect(counts.filter((count) => count === 0)).toHaveLength(2);
    await expect(trained(recipe, [])).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('schedule is "counting"'),
    });
  });

  it('nor do plug-ins of one name', async () => {
    const constant = (rate: number): Plugin => ({
      name: 'same',
      schedules: [{ name: 'same', fields: {}, rate: () => rate }],
    });
    const recipe = { schedule: 'same', limitTrain: 16, epochs: 1 };
    for (const rate of [0.5, 0.25]) expect((await trained(recipe, [constant(rate)])).history[0]?.lr).toBe(rate);
  });
});

describe('names', () => {
  const schedule = (name: string, fields = {}): NonNullable<Plugin['schedules']> => [
    { name, fields, rate: ({ lr }) => lr },
  ];
  const { number } = PLUGIN_TOOLS;
  it.each<[string, Plugin[], RegExp]>([
    [
      'a built-in part',
      [{ name: 'a', schedules: schedule('cosine') }],
      /schedule "cosine" of the plug-in "a".*built-in schedule "cosine"/,
    ],
    [
      'no transform at all',
      [{ name: 'a', weightTransforms: [{ name: 'none', fields: {}, create: () => ({}) as never }] }],
      /weight transform "none".*built-in/,
    ],
    [
      'a twin of a built-in network',
      [
        {
          name: 'a',
          networks: [
            {
              name: 'resnet20-fp',
              describe: '',
              fields: {},
              input: { channels: 1, height: 1, width: 1 },
              build: () => ({}) as never,
            },
          ],
        },
      ],
      /network "resnet20-fp".*built-in/,
    ],
    [
      'a part of another plug-in',
      [
        { name: 'a', schedules: schedule('x') },
        { name: 'b', schedules: schedule('x') },
      ],
      /schedule "x" of the plug-in "b".*schedule "x" of the plug-in "a"/,
    ],
    [
      'a part of its own',
      [{ name: 'a', schedules: [...schedule('x'), ...schedule('x')] }],
      /schedule "x" of the plug-in "a".*schedule "x" of the plug-in "a"/,
    ],
    ['another plug-in', [{ name: 'a' }, { name: 'a' }], /two plug-ins are called "a"/],
    [
      'a built-in field',
      [{ name: 'a', schedules: schedule('x', { lr: number(1, 0, 1, '') }) }],
      /field "lr" of the plug-in "a".*built-in field "lr"/,
    ],
    [
      'a field of another plug-in',
      [
        { name: 'a', schedules: schedule('x', { f: number(1, 0, 1, '') }) },
        { name: 'b', schedules: schedule('y', { f: number(1, 0, 1, '') }) },
      ],
      /field "f" of the plug-in "b".*field "f" of the plug-in "a"/,
    ],
  ])('of %s are refused, and both are named', async (_, plugins, message) => {
    await expect(openParts(plugins)).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringMatching(message),
    });
  });

  it('of one kind do not clash with those of another, and parts of one plug-in may share a field', async () => {
    const field = number(1, 0, 1, 'shared');
    const rows = [...schedule('ste', { shared: field }), ...schedule('adam', { shared: field })];
    const { rules } = await openParts([{ name: 'a', schedules: rows }]);
    expect(rules.fields['shared']).toMatchObject({ default: 1 });
    expect(rules.fields['schedule']).toMatchObject({ choices: expect.arrayContaining(['cosine', 'ste', 'adam']) });
  });

  it.each([
    [{ name: 'a b' }, /called "a b"/],
    [{}, /called undefined/],
    [{ name: 'a', estimator: [] }, /the plug-in "a" has estimator/],
    [{ name: 'a', schedules: {} }, /schedules of the plug-in "a" is an object, expected a list/],
    [{ name: 'a', schedules: [{}] }, /a schedule of the plug-in "a" is called undefined/],
    [{ name: 'a', schedules: [{ name: 'x', fields: { f: 1 }, rate: () => 1 }] }, /the field f of "x"/],
    [null, /a plug-in is null/],
  ])('%j is no plug-in', async (plugin, message) => {
    await expect(openParts([() => plugin as never])).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringMatching(message),
    });
  });
});

describe('what a part gives is checked', () => {
  const estimator = (gradient: (x: tf.Tensor, dy: tf.Tensor) => unknown): Plugin => ({
    name: 'bad',
    estimators: [
      {
        name: 'bad',
        roles: ['weight', 'activation'],
        fields: {},
        create: () => ({
          ...steSchedule(1),
          at: () => ({ ...steSchedule(1).at(0, 1), attributes: null, gradient }) as never,
        }),
      },
    ],
  });
  const of = (kind: keyof Plugin, row: object): Plugin =>
    ({ name: 'bad', [kind]: [{ name: 'bad', fields: {}, ...row }] }) as never;
  const plain = { classes: ['a', 'b'], height: 2, width: 2, channels: 1 };
  const split = (bytes: number, labels: number[]) => ({ images: new Uint8Array(bytes), labels });

  it.each<[string, RecipeInput, Plugin, RegExp]>([
    [
      'no tensor',
      { estimator: 'bad' },
      estimator(() => undefined),
      /estimator "bad" of the plug-in "bad" returned undefined from gradient\(\), expected a tensor of \[16, /,
    ],
    [
      'another shape',
      { estimator: 'bad' },
      estimator((_, dy) => tf.sum(dy)),
      /a tensor of \[\], float32, from gradient\(\)/,
    ],
    ['another type', { estimator: 'bad' }, estimator((_, dy) => tf.cast(dy, 'int32')), /int32, from gradient\(\)/],
    [
      'no estimator',
      { estimator: 'bad' },
      of('estimators', { roles: ['weight', 'activation'], create: () => ({}) }),
      /has no function at\(\) in what create\(\) returned/,
    ],
    ['no roles', { estimator: 'bad' }, of('estimators', { create: () => ({}) }), /has roles undefined/],
    [
      'no function',
      { schedule: 'bad' },
      of('schedules', {}),
      /schedule "bad" of the plug-in "bad" has no function rate\(\)/,
    ],
    ['no number', { schedule: 'bad' }, of('schedules', { rate: () => Number.NaN }), /the learning rate NaN for step 0/],
    [
      'no list',
      { optimizer: 'bad' },
      of('optimizers', { states: [], update: ({ param }: { param: tf.Tensor }) => param }),
      /from update\(\), expected \[param\]/,
    ],
    ['no states', { optimizer: 'bad' }, of('optimizers', { update: () => [] }), /has states undefined/],
    [
      'no transform',
      { weightTransform: 'bad' },
      of('weightTransforms', { create: () => ({ forward: (w: tf.Tensor) => w }) }),
      /has no function backward\(\)/,
    ],
    [
      'no model',
      { model: 'bad' },
      of('networks', { input: { channels: 1, height: 28, width: 28 }, build: () => ({}) }),
      /returned an object from build\(\)/,
    ],
    ['no pictures', { dataset: 'bad' }, of('datasets', { load: () => undefined }), /returned undefined from load\(\)/],
    [
      'too few bytes',
      { dataset: 'bad' },
      of('datasets', { load: () => ({ ...plain, train: split(7, [0, 1]), test: split(4, [0]) }) }),
      /train has 7 bytes of images and 2 labels, expected 2 × 2 × 2 × 1 = 8/,
    ],
    [
      'a label beyond',
      { dataset: 'bad' },
      of('datasets', { load: () => ({ ...plain, train: split(8, [0, 2]), test: split(4, [0]) }) }),
      /label 2 of train picture 1, expected 0 to 1/,
    ],
    [
      'no augmentation',
      { augment: 'bad' },
      of('augmentations', { create: () => 1 }),
      /returned 1 from create\(\), expected a function/,
    ],
  ])('%s', async (_, recipe, plugin, message) => {
    await expect(trained({ limitTrain: 16, epochs: 1, ...recipe }, [plugin])).rejects.toMatchObject({
      code: expect.stringMatching(/E_PLUGIN|E_SHAPE/),
      message: expect.stringMatching(message),
    });
  });

  it('a tensor that was given may be returned, and none is left over', async () => {
    const { weights } = await trained({ estimator: 'bad', model: 'my-mini', backend: 'cpu' }, [
      estimator((_, dy) => dy),
      rewritten,
    ]);
    const identity = await trained({ estimator: 'ste-identity', model: 'my-mini', backend: 'cpu' });
    expectClose(weights, identity.weights);
    const { estimators } = await openParts([estimator((x, dy) => tf.mul(tf.add(x, 1), dy))]);
    const { gradient } = estimators.at(-1)!.create({}, 'weight').at(0, 1);
    const [x, dy] = [tf.tensor1d([1, 2]), tf.tensor1d([3, 4])];
    const count = tf.memory().numTensors;
    expect([...gradient(x, dy).dataSync()]).toEqual([6, 12]);
    expect(tf.memory().numTensors).toBe(count + 1);
  });
});

describe('digests', () => {
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };
  const text = "export default { name: 'NAME', schedules: [{ name: 'flat', fields: {}, rate: ({ lr }) => lr }] };\n";

  it('cover what a file names by relative paths', async () => {
    const helper = (rate: number) => `export const rate = ${rate}; // NAME './flat-self.mjs'\n`;
    const digests: string[] = [];
    for (const [i, rate] of [1, 1, 2].entries()) {
      const main = `import { rate } from './flat-${i}-helper.mjs';\n${text.replace('=> lr', '=> lr * rate')}`;
      await write(`flat-${i}-helper.mjs`, helper(rate));
      const path = await write(`flat-${i}.mjs`, main);
      digests.push((await openParts([path])).rules.plugins[0]!.sha256);
    }
    // Names of files are part of it, too.
    expect(new Set(digests).size).toBe(3);
    await write('flat-0-helper.mjs', helper(3));
    await expect(openParts([join(folder, 'flat-0.mjs')])).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('changed since this process imported it'),
      at: join(folder, 'flat-0-helper.mjs'),
    });
  });

  it('of a plug-in that is no file tell its functions and numbers apart', async () => {
    const digest = async (plugin: Plugin | PluginFactory) => (await openParts([plugin])).rules.plugins[0]!.sha256;
    const make = (rate: () => number, limit: number): Plugin => ({
      name: 'a',
      schedules: [{ name: 'x', fields: { f: PLUGIN_TOOLS.number(1, 0, limit, '') }, rate }],
    });
    const same = await digest(make(() => 1, 2));
    expect(await digest(make(() => 1, 2))).toBe(same);
    expect(await digest(make(() => 2, 2))).not.toBe(same);
    expect(await digest(make(() => 1, 3))).not.toBe(same);
  });

  it('a resumed run takes no other plug-in, nor none', async () => {
    const plugin = (rate: number): PluginFactory =>
      rate === 1
        ? () => ({ name: 'p', schedules: [{ name: 'p', fields: {}, rate: () => 0.01 }] })
        : () => ({ name: 'p', schedules: [{ name: 'p', fields: {}, rate: () => 0.02 }] });
    const other: PluginFactory = () => ({ name: 'p', schedules: [{ name: 'p', fields: {}, rate: () => 0.03 }] });
    const recipe = { ...SMALL, schedule: 'p', epochs: 1, limitTrain: 16 };
    const out = join(folder, 'resumed');
    await train(recipe, { out, plugins: [plugin(1)] });
    const found = await readRecipe(out);
    expect(found).toMatchObject({
      schedule: 'p',
      plugins: [{ name: 'p', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
    });
    await expect(train(recipe, { out, plugins: [other], resume: true })).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringMatching(/the plug-ins were "p" \(SHA-256 .*\) and are now "p" \(SHA-256/),
    });
    await expect(train({ ...found }, { out, resume: true })).rejects.toMatchObject({
      message: expect.stringContaining('needs the plug-in "p"'),
    });
    expect(await train(recipe, { out, plugins: [plugin(1)], resume: true })).toMatchObject({ epochs: 1 });
  });
});

it('estimators of plug-ins are compared by their names', async () => {
  const out = join(folder, 'compared');
  const recipe = { ...SMALL, model: 'my-mini', epochs: 1, limitTrain: 16 };
  const options = { out, plugins: [rewritten], seeds: [1, 2], estimators: ['ste', 'my-ste'] };
  const { comparison } = await compareRecipes(recipe, options);
  expect(comparison.arms.map(({ name, runs: done }) => [name, done.length])).toEqual([
    ['ste', 2],
    ['my-ste', 2],
  ]);
  // They are the same estimator.
  expect(comparison.arms[1]?.runs).toMatchObject(comparison.arms[0]!.runs.map(({ testTop1 }) => ({ testTop1 })));
  await expect(
    compareRecipes(recipe, { ...options, out: join(folder, 'no'), estimators: ['ste', 'mine'] }),
  ).rejects.toThrow('estimator is "mine"');
});

it('a data set of a plug-in is validated with it, by the run alone', async () => {
  const { out, testTop1 } = await trained({ model: 'my-mini', dataset: 'my-mnist', limitTrain: 16, epochs: 1 });
  const found = await validateModel({ model: out, plugins: [rewritten], limit: 20 });
  expect(found).toMatchObject({ images: 20, top1: testTop1, dataset: { name: 'my-mnist' } });
  await expect(validateModel({ model: out })).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
    hint: expect.stringContaining('--plugin'),
  });
});

it('a file is validated against a run with the fields of its data set', async () => {
  const some = definePlugin(({ define, number, loadDataset: load }) => ({
    name: 'some',
    datasets: [
      define.dataset({
        name: 'some-mnist',
        fields: { myTests: number(30, 1, 100, 'some-mnist: test pictures') },
        load: ({ limitTrain }, { myTests }) => load('mnist', { limitTrain, limitTest: myTests }),
      }),
    ],
  }));
  const recipe = { model: 'my-mini', dataset: 'some-mnist', myTests: 7, limitTrain: 16, epochs: 1 };
  const { out } = await trained(recipe, [rewritten, some]);
  const file = join(folder, 'file.onnx');
  await copyFile(join(out, 'last/model.onnx'), file);
  const found = await validateModel({ model: file, against: out, plugins: [rewritten, some] });
  expect(found).toMatchObject({ images: 7, agreement: 1 });
});

describe('slopeEstimator', () => {
  const triangle = slopeEstimator({ name: 'triangle', slope: (z) => Math.max(0, 1 - Math.abs(z)), limit: 1 });
  const points = [-2, -1, -0.6, -0.25, 0, 0.1, 0.5, 0.99, 1.5];

  it('has the slope’s integral as its surrogate', () => {
    const integral = (z: number) => Math.sign(z) * (Math.min(1, Math.abs(z)) - Math.min(1, Math.abs(z)) ** 2 / 2);
    for (const z of points) expect(triangle.surrogate(z)).toBeCloseTo(integral(z), 6);
  });

  it('multiplies the incoming gradient by the slope', () => {
    const dy = points.map((_, i) => i - 3.5);
    const given = triangle.gradient(tf.tensor1d(points), tf.tensor1d(dy)).dataSync();
    for (const [i, z] of points.entries()) {
      expect(given[i]).toBeCloseTo((dy[i] ?? 0) * Math.max(0, 1 - Math.abs(z)), 5);
      expect(triangle.factor(z)).toBeCloseTo(Math.max(0, 1 - Math.abs(z)), 12);
    }
  });
});

it('a data set of arrays has the statistics of its training pictures, and its limits take the first', () => {
  const images = Uint8Array.from({ length: 3 * 2 * 2 * 2 }, (_, i) => (37 * i * i + 11) % 256);
  const facts = { classes: ['a', 'b'], height: 2, width: 2, channels: 2 };
  const plain = { ...facts, train: { images, labels: [0, 1, 1] }, test: { images: images.slice(0, 8), labels: [1] } };
  const { mean, std, train: learned, test } = completeDataset('mine', plain, { limitTrain: 2 });
  for (const c of [0, 1]) {
    const values = [...images].filter((_, i) => i % 2 === c).map((value) => value / 255);
    const average = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / values.length;
    expect(mean[c]).toBeCloseTo(average, 12);
    expect(std[c]).toBeCloseTo(Math.sqrt(variance), 12);
  }
  if (learned.kind !== 'memory') throw new Error('unreachable');
  expect([...learned.images]).toEqual([...images.subarray(0, 16)]);
  expect([learned.count, test.count, ...learned.labels]).toEqual([2, 1, 0, 1]);
});

describe('odd plug-ins', () => {
  class Flat {
    readonly name = 'flat';
    #rate = 0.01;
    rate() {
      return this.#rate;
    }
  }
  const momentOf = { step: 0, steps: 1, epoch: 0, epochs: 1 } as never;

  it('instances of classes, whose functions are not their own', async () => {
    class Mine {
      readonly name = 'mine';
      get schedules() {
        return [new Flat()];
      }
    }
    const { schedules } = await openParts([new Mine() as unknown as Plugin]);
    expect(schedules.at(-1)?.rate(momentOf, {} as never)).toBe(0.01);
  });

  it('with integers of any length, and with circles', async () => {
    const plugin: Record<string, unknown> = { name: 'mine', schedules: [{ name: 'x', rate: () => 1, big: 5n }] };
    (plugin['schedules'] as Record<string, unknown>[])[0]!['self'] = plugin;
    expect((await openParts([plugin as unknown as Plugin])).rules.plugins[0]?.name).toBe('mine');
  });

  it.each([
    ['a getter that throws', "export default { name: 'g', get schedules() { throw new Error('no'); } };", ':1:53'],
    ['a text that is thrown', "export default () => { throw 'no'; };", ''],
  ])('%s is an error of the plug-in', async (_, code, place) => {
    const file = join(folder, `odd${place.length}.mjs`);
    await writeFile(file, code);
    const message = expect.stringContaining('no') as string;
    const at = expect.stringContaining(`odd${place.length}.mjs${place}`) as string;
    await expect(openParts([file])).rejects.toMatchObject({ code: 'E_PLUGIN', message, at });
  });

  it.skipIf(process.platform === 'win32')('a named pipe is refused, not waited for', async () => {
    const file = join(folder, 'pipe.mjs');
    execFileSync('mkfifo', [file]);
    await expect(openParts([file])).rejects.toMatchObject({ code: 'E_IO', at: file });
  });
});
