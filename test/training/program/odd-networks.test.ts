import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { decodeSafetensors } from '../../../src/core/formats/safetensors.ts';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { float32, int64s, scalar } from '../../../src/core/tensors/tensor.ts';
import { type Attributes, float, int, ints, string } from '../../../src/graph/attribute.ts';
import { Graph, type Value } from '../../../src/graph/graph.ts';
import { Model } from '../../../src/graph/model.ts';
import { readModel, writeModel } from '../../../src/onnx/model-io.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { readRecipe } from '../../../src/training/sessions/run-folder-io.ts';
import type { Opening } from '../../../src/training/sessions/train-options.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

const SLOW = 60_000;
const native = loadNativeAddon();
const skipped = native.ok ? '' : ` (skipped: ${native.reason})`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-odd-'));
  await writePictures('two', ['cat', 'dog']);
  await writePictures('one', ['cat']);
});
afterAll(() => rm(folder, { recursive: true }));

/** Pictures of 8×8 pixels: noise, brighter in the second class. */
async function writePictures(name: string, classes: readonly string[]): Promise<void> {
  const rng = new Rng(4);
  for (const [label, cls] of classes.entries()) {
    for (const [split, count] of [
      ['train', 24],
      ['test', 8],
    ] as const) {
      const path = join(folder, name, split, cls);
      await mkdir(path, { recursive: true });
      for (let i = 0; i < count; i++) {
        const pixels = Uint8Array.from({ length: 192 }, () => rng.below(128) + 100 * label);
        await sharp(pixels, { raw: { width: 8, height: 8, channels: 3 } })
          .png()
          .toFile(join(path, `${i}.png`));
      }
    }
  }
}

interface Tools {
  readonly graph: Graph;
  readonly op: (type: string, inputs: readonly Value[], attributes?: Attributes) => Value;
  readonly constant: (...shape: number[]) => Value;
}

/** [N, channels, size, size] → `build`. */
async function save(name: string, image: readonly number[], build: (x: Value, tools: Tools) => Value): Promise<string> {
  const graph = new Graph();
  let count = 0;
  const constant = (...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return graph.addConstant(
      `c${count}`,
      float32(
        shape,
        Float32Array.from({ length: size }, () => Math.sin(++count)),
      ),
    );
  };
  const op: Tools['op'] = (type, inputs, attributes = {}) => {
    const [domain, op] = type.startsWith('bnn.') ? ['bnn', type.slice(4)] : ['', type];
    return graph.addNode(op, inputs, { domain, attributes }).output;
  };
  const x = graph.addInput('x', { dtype: 'float32', shape: ['N', ...image] });
  const y = build(x, { graph, op, constant });
  y.dtype = 'float32';
  graph.addOutput(y);
  const model = new Model(graph);
  model.opsets.set('bnn', 1);
  const path = join(folder, `${name}.onnx`);
  await writeModel(path, model);
  return path;
}

interface Trained {
  readonly out: string;
  readonly opening: Opening;
  readonly notes: readonly string[];
  readonly top1: number;
}

let runs = 0;
async function run(init: string, options: object, resume: object = {}): Promise<Trained> {
  const recipe = parseRecipe([
    {
      model: '',
      init,
      epochs: 1,
      batchSize: 8,
      limitTrain: 16,
      limitTest: 8,
      threads: 1,
      backend: 'native',
      ...options,
    },
  ]);
  const out = join(folder, `run${runs++}`);
  const notes: string[] = [];
  let opening: Opening | undefined;
  const result = await train(recipe, {
    out,
    onNote: (note) => notes.push(note),
    onStart: (found) => {
      opening = found;
    },
    ...resume,
  });
  return { out, opening: opening!, notes, top1: result.testTop1 };
}

const head = (x: Value, classes: number, { op, constant }: Tools, channels: number): Value => {
  const features = op('Flatten', [op('GlobalAveragePool', [x])]);
  return op('Gemm', [features, constant(classes, channels), constant(classes)], { transB: int(1) });
};

describe.skipIf(!native.ok)(`networks from elsewhere${skipped}`, () => {
  test(
    'a detector that ends in one Sigmoid learns to tell two classes apart',
    async () => {
      const init = await save('detector', [3, 8, 8], (x, tools) => {
        const h = tools.op('Relu', [tools.op('Conv', [x, tools.constant(4, 3, 3, 3)])]);
        return tools.op('Sigmoid', [head(h, 1, tools, 4)]);
      });
      const data = { dataset: 'image-folder', data: join(folder, 'two'), imageSize: 8, limitTrain: 0, limitTest: 0 };
      const { notes, top1, out } = await run(init, { ...data, epochs: 20, optimizer: 'adam', lr: 0.05 });
      expect(notes.join('\n')).toMatch(/Sigmoid\) at the end is left out[\s\S]*more than 0 for "dog", less for "cat"/);
      expect(top1).toBe(1);
      expect((await readModel(join(out, 'last', 'model.onnx'))).graph.outputs[0]!.shape).toEqual(['N', 1]);
    },
    SLOW,
  );

  test(
    'pictures of one class are nothing to learn from',
    async () => {
      const init = await save('single', [3, 8, 8], (x, tools) => head(x, 1, tools, 3));
      const data = { dataset: 'image-folder', data: join(folder, 'one'), imageSize: 8 };
      for (const network of [
        { init, model: '' },
        { init: '', model: 'resnet20' },
      ]) {
        await expect(run(init, { ...data, ...network })).rejects.toMatchObject({
          code: 'E_SHAPE',
          message: 'all pictures are of one class, "cat": there is nothing to tell apart',
        });
      }
    },
    SLOW,
  );

  test(
    'a layer used twice is one parameter, in the count, the checkpoint and the optimizer, and a resumed run ends the same',
    async () => {
      const init = await save('tied', [1, 28, 28], (x, tools) => {
        const { op, graph, constant } = tools;
        const window = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
        const filled = (value: number) => graph.addConstant('norm', float32([4], new Float32Array(4).fill(value)));
        // As exporters write a fresh normalization: equal vectors are one.
        const [ones, zeros] = [filled(1), filled(0)];
        const signs = op('bnn.Sign', [constant(4, 4, 3, 3)]);
        let h = op('Conv', [x, constant(4, 1, 3, 3)], { ...window, strides: ints([2, 2]) });
        for (let i = 0; i < 2; i++) {
          const y = op('Conv', [op('bnn.Sign', [h]), signs], window);
          h = op('BatchNormalization', [y, ones, zeros, zeros, ones]);
        }
        return head(h, 10, tools, 4);
      });
      const recipe = { dataset: 'mnist', epochs: 2, optimizer: 'adam' };
      const whole = await run(init, recipe);
      const [stem, tied, norm, dense] = [36, 144, 8, 50];
      expect(whole.opening.parameters).toBe(stem + tied + norm + dense);
      const { graph } = await readModel(join(whole.out, 'last', 'model.onnx'));
      const sizes = [...graph.constants()].map(({ constant }) => constant.data.length).sort((a, b) => a - b);
      expect(sizes).toEqual([4, 4, 4, 4, 10, 36, 40, 144]);
      const state = decodeSafetensors(await readFile(join(whole.out, 'last', 'optimizer.safetensors'))).tensors;
      expect([...state.values()].filter(({ data }) => data.length === 144)).toHaveLength(2);

      const controller = new AbortController();
      const stopped = await run(init, recipe, { signal: controller.signal, onStep: () => controller.abort() });
      await train((await readRecipe(stopped.out))!, { out: stopped.out, resume: true });
      const model = (out: string) => readFile(join(out, 'last', 'model.onnx'));
      expect((await model(stopped.out)).equals(await model(whole.out))).toBe(true);
    },
    SLOW,
  );

  type Layer = (x: Value, tools: Tools) => Value;
  const conv =
    (attributes: Record<string, number[]>, kernel = [1, 1]): Layer =>
    (x, { op, constant }) =>
      op('Conv', [x, constant(1, 1, ...kernel)], {
        kernel_shape: ints(kernel),
        ...Object.fromEntries(Object.entries(attributes).map(([name, list]) => [name, ints(list)])),
      });
  const pool =
    (type: string, attributes: Record<string, number[]>, more: Attributes = {}): Layer =>
    (x, { op }) =>
      op(type, [x], {
        ...Object.fromEntries(Object.entries(attributes).map(([name, list]) => [name, ints(list)])),
        ...more,
      });
  const BIG = 2 ** 53 - 1;

  test.each<[string, Layer, string]>([
    ['a padded row of 10^8 pixels, many of them', conv({ pads: [0, 0, 1e6, 1e8] }), 'E_BACKEND'],
    ['a padding that no index reaches', conv({ pads: [0, 0, 0, BIG] }), 'E_SHAPE'],
    ['a window far larger than the picture', conv({ dilations: [2 ** 32, 1] }, [3, 3]), 'E_SHAPE'],
    [
      'averages of a padding, never made',
      pool('AveragePool', { kernel_shape: [3, 3], strides: [3, 3], pads: [1, 1, 1, 2 ** 31 - 1] }),
      'E_UNSUPPORTED',
    ],
    [
      'averages of many windows',
      pool('AveragePool', { kernel_shape: [3, 3], pads: [0, 0, 1e7, 1e7] }),
      'E_UNSUPPORTED',
    ],
    [
      'averages that count the padding',
      pool('AveragePool', { kernel_shape: [2, 2], pads: [0, 0, 1e7, 1e7] }, { count_include_pad: int(1) }),
      'E_UNSUPPORTED',
    ],
    [
      'a padded input that is wide only on the way',
      pool('AveragePool', { kernel_shape: [1, 1], strides: [1e8, 1e8], pads: [0, 0, 1e8, 1e8] }),
      'E_UNSUPPORTED',
    ],
    ['a maximum of a padding', pool('MaxPool', { kernel_shape: [3, 3], pads: [1e8, 1e8, 1e8, 1e8] }), 'E_UNSUPPORTED'],
    [
      'a window that lies in the padding',
      pool('MaxPool', { kernel_shape: [1, 1], strides: [2, 2], pads: [1, 1, 1, 1] }, { ceil_mode: int(1) }),
      'E_UNSUPPORTED',
    ],
    ['a window of negative size', pool('MaxPool', { kernel_shape: [1, -1], pads: [1, 1, 1, 1] }), 'E_SHAPE'],
    ['a convolution that crops', conv({ pads: [0, -1, 0, 0] }), 'E_UNSUPPORTED'],
    ['averages that crop', pool('AveragePool', { kernel_shape: [3, 3], pads: [0, -1, 0, 0] }), 'E_UNSUPPORTED'],
    ['a maximum that crops', pool('MaxPool', { kernel_shape: [3, 3], pads: [0, 0, -3, 0] }), 'E_UNSUPPORTED'],
    [
      'a batch that is padded',
      (x, { op, graph }) => op('Pad', [x, graph.addConstant('pads', int64s([9, 0, 0, 0, 0, 0, 0, 0]))]),
      'E_UNSUPPORTED',
    ],
    [
      'a reshape that mixes pictures',
      (x, { op, graph }) =>
        op('Reshape', [
          op('Slice', [x, ...[0, 14, 2].map((v) => graph.addConstant('i', int64s([v])))]),
          graph.addConstant('shape', int64s([-1, 1, 28, 28])),
        ]),
      'E_SHAPE',
    ],
    [
      'a window that SAME pads',
      pool('MaxPool', { kernel_shape: [2 ** 40, 1] }, { auto_pad: string('SAME_UPPER') }),
      'E_SHAPE',
    ],
    [
      'a Pad',
      (x, { op, graph }) =>
        op('Pad', [
          x,
          graph.addConstant('pads', int64s([0, 0, 0, 0, 0, 0, 1e8, 1e8])),
          graph.addConstant('zero', scalar(0)),
        ]),
      'E_BACKEND',
    ],
  ])('%s is refused before memory is taken', async (_, layer, code) => {
    const init = await save('huge', [1, 28, 28], (x, tools) => head(layer(x, tools), 10, tools, 1));
    const before = process.memoryUsage().rss;
    await expect(run(init, { dataset: 'mnist' })).rejects.toMatchObject({ name: 'BnnError', code });
    expect(process.memoryUsage().rss - before).toBeLessThan(5e8);
  });

  const norm =
    (attributes: Attributes): Layer =>
    (x, { op, graph }) => {
      const one = (i: number) => graph.addConstant(`n${i}`, float32([1], [1]));
      return op('BatchNormalization', [x, one(0), one(1), one(2), one(3)], attributes);
    };
  const unary =
    (type: string, attributes: Attributes): Layer =>
    (x, { op }) =>
      op(type, [x], attributes);

  test.each<[string, Layer, RegExp]>([
    ['BatchNormalization', norm({ epsilon: float(-1) }), /epsilon is -1, expected a number from 0 to/],
    ['BatchNormalization', norm({ epsilon: float(Number.NaN) }), /epsilon is NaN/],
    ['BatchNormalization', norm({ momentum: float(1.5) }), /momentum is 1.5, expected a number from 0 to 1/],
    ['Elu', unary('Elu', { alpha: float(Infinity) }), /alpha is Infinity/],
    ['LeakyRelu', unary('LeakyRelu', { alpha: float(Number.NaN) }), /alpha is NaN/],
    ['HardSigmoid', unary('HardSigmoid', { beta: float(-Infinity) }), /beta is -Infinity/],
    [
      'Clip',
      (x, { op, graph }) => op('Clip', [x, graph.addConstant('low', scalar(Number.NaN))]),
      /min is NaN, expected a number/,
    ],
    ['Dropout', (x, { op, graph }) => op('Dropout', [x, graph.addConstant('r', scalar(2))]), /ratio = 2/],
    [
      'Gemm',
      (x, { op, constant }) => {
        const y = op('Gemm', [op('Flatten', [x]), constant(784, 784)], { alpha: float(Number.NaN) });
        return op('Reshape', [y, op('Shape', [x])]);
      },
      /alpha is NaN/,
    ],
  ])('%s with a number that nothing can be computed with is refused by its name', async (type, layer, message) => {
    const init = await save('number', [1, 28, 28], (x, tools) => head(layer(x, tools), 10, tools, 1));
    await expect(run(init, { dataset: 'mnist' })).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringMatching(message) as string,
      at: expect.stringContaining(type) as string,
    });
  });

  test(
    'dilations and strides that reach nothing change nothing',
    async () => {
      const models = [conv({}), conv({ dilations: [2 ** 32, 1] }), conv({ dilations: [1, BIG] })];
      const strided = [
        pool('AveragePool', { kernel_shape: [28, 28], strides: [1, 1] }),
        pool('AveragePool', { kernel_shape: [28, 28], strides: [2 ** 32, BIG] }),
      ];
      for (const layers of [models, strided]) {
        const trained: Buffer[][] = [];
        for (const layer of layers) {
          const init = await save('same', [1, 28, 28], (x, tools) => {
            const h = tools.op('Conv', [x, tools.constant(1, 1, 3, 3)], { pads: ints([1, 1, 1, 1]) });
            return head(layer(h, tools), 10, tools, 1);
          });
          const { out } = await run(init, { dataset: 'mnist' });
          const files = (await readdir(join(out, 'last'))).filter((name) => name.endsWith('.safetensors'));
          trained.push(await Promise.all(files.map((name) => readFile(join(out, 'last', name)))));
        }
        for (const other of trained) expect(other).toEqual(trained[0]);
      }
    },
    SLOW,
  );
});
