import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { countMacs, countParameters } from '../../src/compiler/statistics.ts';
import { decodeSafetensors } from '../../src/core/formats/safetensors.ts';
import { toNumbers } from '../../src/core/tensors/tensor.ts';
import { inferShapes } from '../../src/graph/infer/infer-shapes.ts';
import type { InferRules } from '../../src/graph/infer/rule.ts';
import { STANDARD_RULES } from '../../src/graph/infer/standard-rules.ts';
import type { Model } from '../../src/graph/model.ts';
import { verify } from '../../src/graph/verify.ts';
import { buildModel, findNetwork, ZOO, zooNames } from '../../src/zoo/zoo.ts';
import { caught } from '../graph/caught.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const RULES: InferRules = new Map([...STANDARD_RULES, ['bnn.Sign', (node) => [node.requiredInput(0)]]]);

const models = new Map<string, Model>();
/** Built once per name, with shapes. */
function network(name: string): Model {
  let model = models.get(name);
  if (model === undefined) {
    model = buildModel(name, { seed: 1 });
    inferShapes(model, RULES, { strict: true });
    models.set(name, model);
  }
  return model;
}

/** Of our own design: sums over its layers, written out. */
const resnet8 = (name: string, width: number, parameters: number) =>
  [
    name,
    parameters,
    9 * width ** 2 * (2 + 2 + 4 + 8 + 16),
    {
      Conv: width * 27 + 2 * width ** 2 + 8 * width ** 2,
      BatchNormalization: 2 * (3 + 3 * 2 + 3 * 4 + 16) * width,
      Gemm: 16 * width * 10 + 10,
    },
    9 * width ** 2 * (2 * 256 + (2 + 4) * 64 + (8 + 16) * 16),
    width * 27 * 256 + 2 * width ** 2 * 64 + 8 * width ** 2 * 16 + 16 * width * 10,
  ] as const;

const RESNET8 = [resnet8('resnet8-bireal', 48, 699_130), resnet8('resnet8-bireal-wide', 64, 1_237_322)] as const;

/** As ResNet-20 and ResNet-18, the latter on a quarter of the pixels. */
const VARIATIONS = [
  [
    'resnet20-hardtanh',
    269_850,
    267_264,
    { Conv: 432, BatchNormalization: 1504, Gemm: 650 },
    40_108_032,
    442_368 + 640,
  ],
  [
    'resnet18-half',
    11_174_986,
    10_985_472,
    { Conv: 1728 + 8192 + 32_768 + 131_072, BatchNormalization: 10_624, Gemm: 5130 },
    147_456 * 256 + (73_728 + 3 * 147_456) * 64 + (294_912 + 3 * 589_824) * 16 + (1_179_648 + 3 * 2_359_296) * 4,
    1728 * 256 + 8192 * 64 + 32_768 * 16 + 131_072 * 4 + 5120,
  ],
] as const;

/** Counted by running the authors' PyTorch modules; binary multiply-adds are sums over the layers' sizes. */
const COUNTS = [
  ['resnet20', 269_850, 267_264, { Conv: 432, BatchNormalization: 1504, Gemm: 650 }, 40_108_032, 442_368 + 640],
  ['resnet20-bireal', 269_850, 267_264, { Conv: 432, BatchNormalization: 1504, Gemm: 650 }, 40_108_032, 442_368 + 640],
  [
    'resnet18-cifar',
    11_174_986,
    10_985_472,
    { Conv: 1728 + 8192 + 32_768 + 131_072, BatchNormalization: 10_624, Gemm: 5130 },
    // Per stage: 4 convolutions, the first of the later stages on half the channels.
    147_456 * 1024 + (73_728 + 3 * 147_456) * 256 + (294_912 + 3 * 589_824) * 64 + (1_179_648 + 3 * 2_359_296) * 16,
    1728 * 1024 + 8192 * 256 + 32_768 * 64 + 131_072 * 16 + 5120,
  ],
  [
    'vgg-small',
    4_660_106,
    4_571_136,
    { Conv: 3456, BatchNormalization: 3584, Gemm: 81_930 },
    147_456 * 1024 + (294_912 + 589_824) * 256 + (1_179_648 + 2_359_296) * 64,
    3456 * 1024 + 81_920,
  ],
  [
    'resnet18',
    11_690_536,
    10_985_472,
    { Conv: 9408 + 172_032, BatchNormalization: 10_624, Gemm: 513_000 },
    null,
    9408 * 112 * 112 + 8192 * 784 + 32_768 * 196 + 131_072 * 49 + 512_000,
  ],
  ['resnet34', 21_798_696, 21_086_208, { Conv: 9408 + 172_032, BatchNormalization: 18_048, Gemm: 513_000 }, null, null],
] as const;

describe('parameters and multiply-adds of the published networks', () => {
  test.each([...COUNTS, ...RESNET8, ...VARIATIONS])('%s', (name, total, binary, floatByType, binaryMacs, floatMacs) => {
    const parameters = countParameters(network(name));
    expect(parameters.total).toBe(total);
    expect(parameters.oneBit).toBe(binary);
    expect(Object.fromEntries(parameters.floatByType)).toEqual(floatByType);
    const macs = countMacs(network(name));
    expect(macs.unknown).toEqual([]);
    expect(macs.weightOnly).toBe(0);
    if (binaryMacs !== null) expect(macs.binary).toBe(binaryMacs);
    if (floatMacs !== null) expect(macs.float).toBe(floatMacs);
  });

  test.each([
    ['resnet20', 40.1e6, 0.44e6],
    ['resnet18-cifar', 547e6, 8.1e6],
    ['vgg-small', 604e6, 3.6e6],
    ['resnet18', 1.676e9, 138e6],
    ['resnet34', 3.526e9, 138e6],
  ])('%s: the rounded figures of the literature', (name, binary, float) => {
    const macs = countMacs(network(name));
    expect(macs.binary / binary).toBeCloseTo(1, 2);
    expect(macs.float / float).toBeCloseTo(1, 1);
  });

  test('variants move the counts from one column to the next', () => {
    expect(countMacs(network('resnet20-1w32a'))).toMatchObject({ binary: 0, weightOnly: 40_108_032, float: 443_008 });
    expect(countMacs(network('resnet20-fp'))).toMatchObject({ binary: 0, weightOnly: 0, float: 40_551_040 });
    expect(countParameters(network('resnet20-1w32a'))).toMatchObject({ total: 269_850, oneBit: 267_264 });
    expect(countParameters(network('resnet20-fp'))).toMatchObject({ total: 269_850, oneBit: 0 });
  });

  test('binarynet-mini is small', () => {
    const macs = countMacs(network('binarynet-mini'));
    expect(macs.binary + macs.float).toBeGreaterThan(2e6);
    expect(macs.binary + macs.float).toBeLessThan(4e6);
    expect(macs.binary).toBeGreaterThan(10 * macs.float);
  });
});

// The twins of the largest networks differ from the others by the same lines, and take seconds to fill with numbers.
const CHECKED = zooNames().filter((name) => !/^resnet(18|34)-(1w32a|fp)$/.test(name));

describe('every network', () => {
  test.each(CHECKED)('%s is well formed and has known shapes', (name) => {
    const model = network(name);
    const { input, classes } = findNetwork(name);
    verify(model, new Set(RULES.keys()));
    for (const value of model.graph.values.values()) {
      expect(value.dtype, value.name).not.toBeNull();
      expect(value.shape, value.name).not.toBeNull();
      expect(value.shape, value.name).not.toContain(null);
    }
    const [x] = model.graph.inputs;
    const [logits] = model.graph.outputs;
    expect([x?.name, x?.dtype, x?.shape]).toEqual([
      'input',
      'float32',
      ['N', input.channels, input.height, input.width],
    ]);
    expect([logits?.name, logits?.dtype, logits?.shape]).toEqual(['logits', 'float32', ['N', classes]]);
    expect(logits?.producer?.is('Gemm')).toBe(true);
    expect(model.opsets.has('bnn')).toBe(!name.endsWith('-fp'));
  });

  test('takes other channels, classes and sizes', () => {
    for (const [name, imageSize] of [
      ['resnet20', 28],
      ['vgg-small', 64],
      ['binarynet-mini', 32],
      ['binarynet-mini', 9],
      ['resnet20-bireal-1w32a', 17],
      ['resnet8-bireal', 25],
    ] as const) {
      const model = buildModel(name, { seed: 0, channels: 2, classes: 7, imageSize });
      inferShapes(model, RULES, { strict: true });
      verify(model);
      expect(model.graph.outputs[0]?.shape).toEqual(['N', 7]);
    }
  });
});

describe('binary layers', () => {
  test('sign, convolve, scale by the mean magnitude, ReLU, normalize', () => {
    const { graph } = network('resnet20');
    const layer = [...graph.nodes()].filter(({ name }) => /^layer1\.0\.(conv|relu|bn)1/.test(name));
    expect(layer.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'layer1.0.conv1.input_sign bnn.Sign',
      'layer1.0.conv1.weight_sign bnn.Sign',
      'layer1.0.conv1 Conv',
      'layer1.0.conv1.weight_abs Abs',
      'layer1.0.conv1.scale ReduceMean',
      'layer1.0.conv1.scaled Mul',
      'layer1.0.relu1 Relu',
      'layer1.0.bn1 BatchNormalization',
    ]);
    expect(graph.values.get('layer1.0.conv1.scale')?.shape).toEqual([]);
    const norm = layer.at(-1)!;
    expect([norm.float('epsilon', 0), norm.float('momentum', 0)]).toEqual([1e-5, 0.9].map(Math.fround));
  });

  test.each([
    ['resnet20', 36, 18],
    ['resnet18-cifar', 32, 16],
    ['vgg-small', 10, 5],
    ['resnet34', 64, 32],
    ['resnet20-1w32a', 18, 18],
    ['resnet20-fp', 0, 0],
  ])('%s has %i signs and %i scales', (name, signs, scales) => {
    const types = [...network(name).graph.nodes()].map(({ type }) => type);
    expect(types.filter((type) => type === 'bnn.Sign')).toHaveLength(signs);
    expect(types.filter((type) => type === 'ReduceMean')).toHaveLength(scales);
  });

  test('Bi-Real blocks add a shortcut around every convolution', () => {
    const adds = (name: string): number => [...network(name).graph.nodes()].filter((node) => node.is('Add')).length;
    expect([adds('resnet20'), adds('resnet20-bireal'), adds('resnet18'), adds('resnet18-cifar')]).toEqual([
      9, 18, 16, 8,
    ]);
  });
});

describe('weights', () => {
  test('depend on the seed and on nothing else', () => {
    const weights = (seed: number, name = 'resnet20'): number[] =>
      toNumbers(buildModel(name, { seed }).graph.values.get('layer2.0.conv1.weight')!.constant!);
    expect(weights(3)).toEqual(weights(3));
    expect(weights(3)).not.toEqual(weights(4));
    expect(weights(3)).toEqual(weights(3, 'resnet20-bireal-fp'));
  });

  test.each([
    ['resnet20', 'layer3.1.conv2.weight', Math.sqrt(2 / 576), 'normal'],
    ['resnet20', 'linear.weight', Math.sqrt(2 / 64), 'normal'],
    ['vgg-small', 'conv2.weight', Math.sqrt(2 / (9 * 256)), 'normal'],
    ['vgg-small', 'fc.weight', 0.01, 'normal'],
    ['resnet18', 'conv1.weight', Math.sqrt(2 / 147), 'normal'],
    ['resnet18-cifar', 'layer4.0.conv1.weight', 1 / Math.sqrt(3 * 2304), 'uniform'],
    ['resnet18-cifar', 'linear.weight', 1 / Math.sqrt(3 * 512), 'uniform'],
  ] as const)('%s %s has the documented distribution', (name, weight, deviation, kind) => {
    const x = toNumbers(network(name).graph.values.get(weight)!.constant!);
    const mean = x.reduce((a, b) => a + b, 0) / x.length;
    const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
    // 5 standard errors of the mean; the standard error of a deviation is below deviation / √(2n).
    expect(Math.abs(mean)).toBeLessThan((5 * deviation) / Math.sqrt(x.length));
    expect(Math.abs(Math.sqrt(variance) / deviation - 1)).toBeLessThan(5 / Math.sqrt(2 * x.length));
    const largest = x.reduce((a, b) => Math.max(a, Math.abs(b)), 0) / deviation;
    if (kind === 'uniform') expect(largest).toBeLessThanOrEqual(Math.sqrt(3) * (1 + 1e-6));
    else expect(largest).toBeGreaterThan(2);
  });

  const golden = join(ROOT, '..', 'shared', 'golden', 'reste-resnet20-1w1a.safetensors');
  test.skipIf(!existsSync(golden))(
    'have the names and shapes of the official checkpoint (needs ../shared/golden)',
    () => {
      const { values } = network('resnet20').graph;
      const names = new Set<string>();
      for (const [name, { shape }] of decodeSafetensors(readFileSync(golden)).tensors) {
        if (!name.startsWith('init.') || name.endsWith('num_batches_tracked')) continue;
        names.add(name.slice('init.'.length));
        expect(values.get(name.slice('init.'.length))?.constant?.shape, name).toEqual(shape);
      }
      const ours = [...network('resnet20').graph.constants()]
        .map(({ name }) => name)
        .filter((name) => !/shortcut/.test(name));
      expect(new Set(ours)).toEqual(names);
    },
  );
});

describe('errors', () => {
  test('an unknown name: the nearest, and the list', () => {
    const error = caught(() => buildModel('resnet-20', { seed: 1 }));
    expect(error.code).toBe('E_NOT_FOUND');
    expect(error.message).toContain('"resnet-20"');
    expect(error.hint).toContain('did you mean "resnet20"?');
    for (const name of ['vgg-small', 'binarynet-mini', '-1w32a', '-fp']) expect(error.hint).toContain(name);
    expect(caught(() => buildModel('xyzzy', { seed: 1 })).hint).not.toContain('did you mean');
  });

  test.each([
    [{ seed: -1 }, 'seed'],
    [{ seed: 1, classes: 0 }, 'classes'],
    [{ seed: 1, channels: 1.5 }, 'channels'],
    [{ seed: 1, imageSize: 4 }, 'imageSize'],
  ])('%o', (options, what) => {
    const error = caught(() => buildModel('vgg-small', options));
    expect([error.code, error.message]).toEqual(['E_USAGE', expect.stringContaining(what)]);
  });

  test('weightsOnly is the suffix -1w32a, and impossible without binary weights', () => {
    const model = buildModel('resnet20', { seed: 1, weightsOnly: true });
    expect(model.graph.name).toBe('resnet20-1w32a');
    expect(caught(() => buildModel('resnet20-fp', { seed: 1, weightsOnly: true })).code).toBe('E_USAGE');
  });
});

test('the zoo lists 12 networks in 3 variants', () => {
  expect(ZOO.size).toBe(36);
  expect(zooNames().slice(0, 3)).toEqual(['resnet20', 'resnet20-1w32a', 'resnet20-fp']);
});
