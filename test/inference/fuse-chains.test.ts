/** Chains of binary layers against the same layers one by one and against stock onnxruntime, to the bit. */

import { describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { quantizeStem } from '../../src/compiler/quantize-stem.ts';
import { tensor } from '../../src/core/tensors/tensor.ts';
import { float, int, ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import type { Value } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer/infer-shapes.ts';
import type { Model } from '../../src/graph/model.ts';
import { fuseChains } from '../../src/inference/fuse-chains.ts';
import { createNativeSession, modelForOps } from '../../src/inference/native-session.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions, INFER_RULES } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { missingAddon, missingOps } from './native-parts.ts';
import { endAtGlobalAverage } from './trunk.ts';
import { waves } from './waves.ts';

const missing = missingAddon ?? missingOps;

const typesOf = ({ graph }: Model) => Array.from(graph.nodes(), ({ type }) => type);

function fused(model: Model): Model {
  const copy = decodeModel(encodeModel(model));
  fuseChains(copy);
  return copy;
}

function networkOf(name: string, imageSize?: number): Model {
  const size = imageSize === undefined ? {} : { imageSize };
  return lowerToPacked(buildModel(name, { seed: 3, classes: 10, ...size })).model;
}

/** Up to where onnxruntime's averages begin, with normalizations that do something. */
function trunkOf(name: string, imageSize?: number): Model {
  const model = networkOf(name, imageSize);
  for (const node of model.graph.nodes()) {
    if (!node.is('BatchNormalization')) continue;
    for (const [i, value] of node.inputs.slice(1).entries()) {
      const [count = 0] = value?.constant?.shape ?? [];
      // Variances are positive.
      const numbers = waves(count, i).map((v) => (i === 3 ? 0.1 + v * v : v));
      if (value !== null) model.graph.setConstant(value, tensor('float32', [count], numbers));
    }
  }
  endAtGlobalAverage(model);
  return model;
}

interface Layer {
  readonly channels: number;
  readonly outputs: number;
  readonly stride?: number;
  readonly group?: number;
}

/** A packed layer with made-up weights and vectors. */
function layer(
  builder: Builder,
  op: string,
  x: Value,
  { channels, outputs, stride = 1, group = 1 }: Layer,
  residual?: Value,
): Value {
  const shape = [outputs, 3, 3, Math.ceil(channels / group / 8)];
  const bytes = Uint8Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => (i * 151 + outputs) ^ (i >> 3));
  const vector = (name: string, count: number, scale: number) =>
    builder.constant(
      name,
      tensor(
        'float32',
        [count],
        waves(count, outputs).map((v) => v * scale),
      ),
    );
  const vectors = op.includes('Sign')
    ? [vector('acc_threshold', outputs, 9)]
    : [vector('scale', outputs, 0.1), vector('bias', outputs, 1), ...(residual === undefined ? [] : [residual])];
  if (op.includes('PRelu')) vectors.push(vector('slope', outputs, 1), vector('offset', outputs, 0.3));
  if (op.includes('Threshold')) vectors.push(vector('x_threshold', channels, 0.5));
  const attributes = {
    channels: int(channels / group),
    group: int(group),
    strides: ints([stride, stride]),
    dilations: ints([1, 1]),
    kernel_shape: ints([3, 3]),
    pads: ints([1, 1, 1, 1]),
  };
  return builder.op(`bnn.${op}`, [x, builder.constant('w', tensor('uint8', shape, bytes)), ...vectors], attributes);
}

function modelOf(build: (builder: Builder, x: Value) => Value, channels: number, size: number): Model {
  const builder = new Builder('chain');
  builder.model.opsets.set('bnn', 1);
  const y = build(builder, builder.input('x', 'float32', ['N', channels, size, size]));
  builder.output(y, 'float32', y.shape ?? []);
  addBnnFunctions(builder.model);
  return builder.model;
}

/** Two binary layers behind a stem like that of a ResNet-18 in 8-bit integers, whose channels have made-up ranges. */
function int8StemModel(size: number): Model {
  const outputs = 32;
  const model = modelOf(
    (b, x) => {
      const constant = (name: string, shape: readonly number[], seed: number, make = (v: number) => v) => {
        const count = shape.reduce((product, side) => product * side, 1);
        return b.constant(name, tensor('float32', shape, waves(count, seed).map(make)));
      };
      const window = (kernel: number, pad: number) => ({
        kernel_shape: ints([kernel, kernel]),
        strides: ints([2, 2]),
        pads: ints([pad, pad, pad, pad]),
      });
      const weights = constant('stem', [outputs, 3, 7, 7], 1, (v) => v / 9);
      const stem = b.op('Conv', [x, weights, constant('bias', [outputs], 2)], window(7, 3));
      const pooled = b.op('MaxPool', [b.op('Relu', [stem], {})], window(3, 1));
      const vectors = [3, 4, 5].map((seed) => constant(`n${seed}`, [outputs], seed));
      const variance = constant('variance', [outputs], 6, (v) => 0.1 + v * v);
      const first = b.op('BatchNormalization', [pooled, ...vectors, variance], {});
      const second = layer(b, 'BinaryConvReluAdd', first, { channels: outputs, outputs }, first);
      return layer(b, 'BinaryConvAdd', second, { channels: outputs, outputs }, second);
    },
    3,
    size,
  );
  inferShapes(model, INFER_RULES);
  const ranges = Array.from(waves(outputs, 5), (v) => ({ min: 0, max: 2.5 + v }));
  const int8 = quantizeStem(model, { min: -1.5, max: 1 }, ranges, 0);
  addBnnFunctions(int8);
  return int8;
}

/** What chains can be made of, and what has to stay outside of them. */
const MODELS: Readonly<Record<string, () => Model>> = {
  signs: () =>
    modelOf(
      (b, x) => {
        const first = layer(b, 'BinaryConvSign', x, { channels: 16, outputs: 40 });
        const second = layer(b, 'BinaryConvSign', first, { channels: 40, outputs: 33, stride: 2 });
        return layer(b, 'BinaryConvRelu', second, { channels: 33, outputs: 7 });
      },
      16,
      13,
    ),
  'residuals that live on': () =>
    modelOf(
      (b, x) => {
        const first = layer(b, 'BinaryConv', x, { channels: 32, outputs: 32 });
        const second = layer(b, 'BinaryConvAdd', first, { channels: 32, outputs: 32 }, first);
        const third = layer(b, 'BinaryConvReluAdd', second, { channels: 32, outputs: 32 }, first);
        return layer(b, 'BinaryConvAdd', third, { channels: 32, outputs: 32 }, second);
      },
      32,
      9,
    ),
  'several thresholds for one value': () =>
    modelOf(
      (b, x) => {
        const first = layer(b, 'BinaryThresholdConvPRelu', x, { channels: 20, outputs: 20 });
        const second = layer(b, 'BinaryThresholdConvAddPRelu', first, { channels: 20, outputs: 20 }, x);
        return layer(b, 'BinaryConvAdd', first, { channels: 20, outputs: 20 }, second);
      },
      20,
      10,
    ),
  'signs that are pooled': () =>
    modelOf(
      (b, x) => {
        const first = layer(b, 'BinaryConvSign', x, { channels: 16, outputs: 48 });
        const window = { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) };
        const pooled = b.op('MaxPool', [first], window);
        return layer(b, 'BinaryConv', pooled, { channels: 48, outputs: 48 });
      },
      16,
      11,
    ),
  groups: () =>
    modelOf(
      (b, x) => {
        const first = layer(b, 'BinaryConvSign', x, { channels: 16, outputs: 24, group: 2 });
        return layer(b, 'BinaryConv', layer(b, 'BinaryConv', first, { channels: 24, outputs: 24, group: 3 }), {
          channels: 24,
          outputs: 8,
        });
      },
      16,
      8,
    ),
  'other nodes in between': () =>
    modelOf(
      (b, x) => {
        const first = layer(b, 'BinaryConv', layer(b, 'BinaryConv', x, { channels: 16, outputs: 16 }), {
          channels: 16,
          outputs: 16,
        });
        const bent = b.op('LeakyRelu', [first], { alpha: float(0.1) });
        const second = layer(b, 'BinaryConvAdd', bent, { channels: 16, outputs: 16 }, first);
        return layer(b, 'BinaryConvAdd', second, { channels: 16, outputs: 16 }, bent);
      },
      16,
      8,
    ),
};
const NETWORKS = ['resnet20', 'resnet20-react', 'resnet20-bireal', 'resnet8-bireal', 'vgg-small', 'resnet18-cifar'];

describe('which nodes become chains', () => {
  test.each([
    ['resnet20', 1],
    ['vgg-small', 1],
    ['resnet18-cifar', 4],
  ])('%s: %i', (name, chains) => {
    const copy = fused(networkOf(name));
    expect(typesOf(copy).filter((type) => type === 'bnn.BinaryChain')).toHaveLength(chains);
    expect(typesOf(copy).filter((type) => type.startsWith('bnn.Binary') && type !== 'bnn.BinaryChain')).toEqual([]);
  });
  test('float layers in front of one, where they are asked for', () => {
    const copy = networkOf('resnet20');
    expect(fuseChains(copy, { stems: true }).chains).toBe(1);
    expect(typesOf(copy)).toEqual(['bnn.BinaryChain', 'GlobalAveragePool', 'Flatten', 'Gemm']);
    // Its results are pooled, by onnxruntime, before binary layers read them.
    const large = networkOf('resnet18', 64);
    const fast = decodeModel(encodeModel(large));
    fuseChains(large, { stems: true });
    expect(typesOf(large).slice(0, 4)).toEqual(['Conv', 'Relu', 'MaxPool', 'BatchNormalization']);
    // Its shortcuts are part of the one chain.
    expect(typesOf(large).filter((type) => type === 'Conv' || type === 'bnn.BinaryChain')).toHaveLength(2);
    // By Winograd's filtering the stem is a part of it, too.
    expect(fuseChains(fast, { stems: true, fastStems: true })).toEqual({ chains: 1, fastStems: 1 });
    expect(typesOf(fast)).toEqual(['bnn.BinaryChain', 'GlobalAveragePool', 'Flatten', 'Gemm']);
  });
  test('a stem in 8-bit integers, with its pooling', () => {
    const readers = ({ graph }: Model) => graph.inputs[0]?.uses.map(({ node }) => node.type);
    const [without, model] = [int8StemModel(64), int8StemModel(64)];
    fuseChains(without, { stems: true });
    expect(readers(without)).toEqual(['SpaceToDepth']);
    fuseChains(model, { int8Stems: true });
    expect(readers(model)).toEqual(['bnn.BinaryChain']);
  });
  test('none in a full-precision network', () => {
    const model = buildModel('resnet20-fp', { seed: 1, classes: 10 });
    const before = typesOf(model);
    expect(fuseChains(model).chains).toBe(0);
    expect(typesOf(model)).toEqual(before);
  });
  test('not where images have no known size, or where a residual is broadcast', () => {
    const free = modelOf(
      (b, x) =>
        layer(b, 'BinaryConv', layer(b, 'BinaryConv', x, { channels: 8, outputs: 8 }), { channels: 8, outputs: 8 }),
      8,
      6,
    );
    const copy = decodeModel(encodeModel(free, { valueTypes: false }));
    for (const value of copy.graph.inputs) value.shape = ['N', 8, null, null];
    expect(fuseChains(copy).chains).toBe(0);
  });
});

test.skipIf(missing !== undefined)(
  `memory is that of the model that runs${missing ? ` (skipped: ${missing})` : ''}`,
  async () => {
    const bytes = await modelForOps(encodeModel(networkOf('resnet20')), {});
    expect(typesOf(decodeModel(bytes))).toContain('bnn.BinaryChain');
  },
);

describe.skipIf(missing !== undefined)(`chains${missing ? ` (skipped: ${missing})` : ''}`, { timeout: 60_000 }, () => {
  const cases = [
    ...Object.entries(MODELS).map(([name, make]) => ({ name, make })),
    ...NETWORKS.map((name) => ({ name, make: () => trunkOf(name) })),
    { name: 'resnet18 at 64×64', make: () => trunkOf('resnet18', 64) },
    ...[48, 90].map((size) => ({ name: `an 8-bit stem at ${size}×${size}`, make: () => int8StemModel(size) })),
  ];
  test.each(cases)('$name: the same bits', async ({ make }) => {
    const model = make();
    const bytes = encodeModel(model);
    expect(typesOf(fused(model))).toContain('bnn.BinaryChain');
    const [, channels, height, width] = model.graph.inputs[0]?.shape ?? [];
    // Few images are shared out by their rows, many one by one.
    const runs = [1, 3, 9].map((batch) => {
      const shape = [batch, Number(channels), Number(height), Number(width)];
      const x = waves(
        shape.reduce((a, b) => a * b),
        batch,
      );
      return { x, shape };
    });
    const results: Float32Array[][] = [];
    for (const options of [{}, { ops: true, fuse: true }, { ops: true, fuse: true, threads: 2 }]) {
      const session = await createNativeSession(bytes, { threads: 1, ...options });
      const found: Float32Array[] = [];
      for (const { x, shape } of runs) found.push((await session.run(x, shape)).data);
      results.push(found);
      await session.dispose();
    }
    const [stock, ...ours] = results;
    for (const found of ours) expect(found).toEqual(stock);
  });
});
