/** Float stems by Winograd's filtering against stock onnxruntime, up to rounding; and where they cannot be. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { tensor } from '../../src/core/tensors/tensor.ts';
import { stemsOf } from '../../src/engine/stem.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { fuseChains } from '../../src/inference/fuse-chains.ts';
import { type OpenOptions, openSession } from '../../src/inference/open-session.ts';
import { validateModel } from '../../src/inference/validate.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { benchModel } from '../../src/tasks/bench-inference.ts';
import { predictPictures } from '../../src/tasks/predict-pictures.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { missingAddon, missingOps } from './native-parts.ts';
import { waves } from './waves.ts';

const missing = missingAddon ?? missingOps;

interface Stem {
  readonly kernel?: readonly [number, number];
  readonly stride?: number;
  readonly bias?: boolean;
  readonly pool?: { readonly kernel: number; readonly end: number };
  readonly channels?: number;
  /** The pooling tells where the largest were, too. */
  readonly indices?: boolean;
  /** Which of the nodes give outputs of the network, too: the first is the convolution. */
  readonly outputs?: readonly number[];
  /** What stands behind the convolution, in this order. */
  readonly order: readonly ('Relu' | 'MaxPool' | 'BatchNormalization')[];
}

const OUTPUTS = 18;

/** The same pooling, which gives the places of the largest as an output of the network. */
function withIndices({ model }: Builder, x: Value, pooled: Value, attributes: Attributes): Value {
  const { graph } = model;
  const [y, places] = graph.addNode('MaxPool', [x], { attributes, outputs: ['y', 'places'] }).outputs as [Value, Value];
  [y.dtype, y.shape, places.dtype, places.shape] = [pooled.dtype, pooled.shape, 'int64', pooled.shape];
  graph.addOutput(places);
  if (pooled.producer !== null) graph.removeNode(pooled.producer);
  return y;
}

/** A stem, and a binary layer behind it whose sums count nothing: what comes out is what the stem gave. */
function modelOf({
  kernel = [7, 7],
  stride = 2,
  bias = true,
  pool = { kernel: 3, end: 1 },
  order,
  ...more
}: Stem): Model {
  const { channels = 3, indices = false, outputs = [] } = more;
  const builder = new Builder('stem');
  builder.model.opsets.set('bnn', 1);
  const constant = (name: string, shape: readonly number[], seed: number, make = (v: number) => v) => {
    const count = shape.reduce((product, side) => product * side, 1);
    return builder.constant(name, tensor('float32', shape, waves(count, seed).map(make)));
  };
  const window = (sizes: readonly number[], step: number, pads: readonly number[]) => ({
    kernel_shape: ints(sizes),
    strides: ints([step, step]),
    pads: ints(pads),
  });
  let x: Value = builder.input('x', 'float32', ['N', channels, 53, 90]);
  const data = [x, constant('w', [OUTPUTS, channels, ...kernel], 1, (v) => v / 9)];
  const [rows, columns] = kernel.map((size) => size >> 1);
  const pads = [rows ?? 0, columns ?? 0, rows ?? 0, columns ?? 0];
  x = builder.op('Conv', bias ? [...data, constant('b', [OUTPUTS], 2)] : data, window(kernel, stride, pads));
  const made = [x];
  for (const op of order) {
    if (op === 'Relu') x = builder.op(op, [x]);
    else if (op === 'MaxPool') {
      const attributes = window([pool.kernel, pool.kernel], 2, [1, 1, pool.end, pool.end]);
      const pooled = builder.op(op, [x], attributes);
      x = indices ? withIndices(builder, x, pooled, attributes) : pooled;
    } else {
      // Factors of both signs.
      const vectors = [3, 4, 5].map((seed) => constant(`n${seed}`, [OUTPUTS], seed));
      x = builder.op(op, [x, ...vectors, constant('variance', [OUTPUTS], 6, (v) => 0.5 + v * v)]);
    }
    made.push(x);
  }
  const zeros = builder.constant('zeros', tensor('float32', [OUTPUTS], new Float32Array(OUTPUTS)));
  const bits = builder.constant('bits', tensor('uint8', [OUTPUTS, 1, 1, 3], new Uint8Array(OUTPUTS * 3)));
  const y = builder.op('bnn.BinaryConvAdd', [x, bits, zeros, zeros, x], {
    ...window([1, 1], 1, [0, 0, 0, 0]),
    dilations: ints([1, 1]),
    channels: int(OUTPUTS),
    group: int(1),
  });
  builder.output(y, 'float32', y.shape ?? []);
  for (const i of outputs) builder.output(made[i] as Value, 'float32', made[i]?.shape ?? []);
  addBnnFunctions(builder.model);
  return builder.model;
}

const STEMS: Readonly<Record<string, Stem>> = {
  'as bnn-export writes that of a ResNet-18': { order: ['Relu', 'MaxPool', 'BatchNormalization'] },
  'factors of both signs in front of the pooling': { order: ['Relu', 'BatchNormalization', 'MaxPool'] },
  'the same without Relu': { order: ['BatchNormalization', 'MaxPool'] },
  'normalization, Relu, pooling': { order: ['BatchNormalization', 'Relu', 'MaxPool'] },
  'pooling, normalization, Relu': { order: ['MaxPool', 'BatchNormalization', 'Relu'], bias: false },
  'one channel': { order: ['Relu', 'MaxPool'], channels: 1 },
  'nothing but the pooling': { order: ['MaxPool'], bias: false, kernel: [5, 6], pool: { kernel: 3, end: 0 } },
};
const OTHERS: Readonly<Record<string, Stem>> = {
  'a kernel of 3×3': { order: ['MaxPool'], kernel: [3, 3] },
  'a convolution of stride 1': { order: ['MaxPool'], stride: 1 },
  'a pooling of 2×2': { order: ['MaxPool'], pool: { kernel: 2, end: 1 } },
  'no pooling': { order: ['Relu'] },
  'many channels': { order: ['MaxPool'], channels: 17 },
  'a convolution that is an output, too': { order: ['Relu', 'MaxPool'], outputs: [0] },
  'a pooling with indices': { order: ['MaxPool', 'BatchNormalization'], indices: true },
};

/** In a chain, and in the engine in WebAssembly. */
function countsOf(model: Model): number[] {
  const copies = [1, 2].map(() => decodeModel(encodeModel(model))) as [Model, Model];
  return [fuseChains(copies[0], { fastStems: true }).fastStems, stemsOf(copies[1].graph).size];
}

describe('which stems are fast ones', () => {
  test.each(Object.entries(STEMS))('%s', (_, stem) => expect(countsOf(modelOf(stem))).toEqual([1, 1]));
  test.each(Object.entries(OTHERS))('not: %s', (_, stem) => expect(countsOf(modelOf(stem))).toEqual([0, 0]));
  test('a second normalization stays, which no chain takes', () => {
    expect(countsOf(modelOf({ order: ['BatchNormalization', 'MaxPool', 'BatchNormalization'] }))).toEqual([0, 1]);
  });
});

describe('where it cannot be', () => {
  const packed = () => encodeModel(lowerToPacked(buildModel('resnet20', { seed: 3, classes: 10 })).model);
  test.each([
    [{ ops: 'off' as const }, '--ops off'],
    [{ ep: 'cuda' as const }, '--ep cuda'],
  ])('%j leaves our kernels out', async (options, named) => {
    const opening = openSession(packed(), { ...options, fastStem: true });
    await expect(opening).rejects.toMatchObject({ code: 'E_USAGE', message: expect.stringContaining(named) as string });
  });
  test('our own engine needs no operator library', async () => {
    const session = await openSession(encodeModel(modelOf({ order: ['MaxPool'] })), {
      engine: 'wasm',
      ops: 'off',
      fastStem: true,
    });
    expect(session.engine).toBe('wasm');
    await session.dispose();
  });
  test.each(['auto', 'wasm'] as const)('a network without one, engine %s', async (engine) => {
    const opening = openSession(packed(), { engine, fastStem: true, at: 'net.onnx' });
    await expect(opening).rejects.toMatchObject({ code: 'E_UNSUPPORTED', at: 'net.onnx' });
  });
  test.skipIf(missing !== undefined)(`whoever is asked for one${missing ? ` (skipped: ${missing})` : ''}`, async () => {
    const model = join(mkdtempSync(join(tmpdir(), 'bnn-stem-')), 'net.onnx');
    writeFileSync(model, packed());
    const asked = [
      () => validateModel({ model, dataset: 'cifar10', fastStem: true }),
      () => predictPictures({ model, pictures: [model], fastStem: true }),
      () => benchModel(model, { twin: 'resnet20-fp', rounds: 1, memory: false, fastStem: true }),
    ];
    const refusal = { code: 'E_UNSUPPORTED', message: expect.stringContaining('fast') as string };
    for (const run of asked) await expect(run()).rejects.toMatchObject(refusal);
    rmSync(dirname(model), { recursive: true });
  });
});

/** f32[batch, channels, 53, 90] */
function pictures(batch: number, channels: number): { readonly x: Float32Array; readonly shape: readonly number[] } {
  const shape = [batch, channels, 53, 90];
  const count = shape.reduce((a, b) => a * b);
  return { x: waves(count, batch), shape };
}

async function resultOf(model: Model, batch: number, options: OpenOptions): Promise<Float32Array> {
  const session = await openSession(encodeModel(model), options);
  const { x, shape } = pictures(batch, Number(model.graph.inputs[0]?.shape?.[1]));
  const { data } = await session.run(x, shape);
  await session.dispose();
  return data;
}

describe.each([
  { engine: 'onnxruntime' as const, lack: missing },
  { engine: 'wasm' as const, lack: undefined },
])('fast stems, $engine: what stock onnxruntime gives, but for rounding', ({ engine, lack }) => {
  test.skipIf(lack !== undefined).each(Object.entries(STEMS))(
    `%s${lack ? ` (skipped: ${lack})` : ''}`,
    async (_, stem) => {
      const model = modelOf(stem);
      for (const batch of [1, 9]) {
        const stock = await resultOf(model, batch, { ops: 'off' });
        const plain = await resultOf(model, batch, { engine });
        for (const threads of [1, 2]) {
          const fast = await resultOf(model, batch, { engine, threads, fastStem: true });
          expect(fast).toHaveLength(stock.length);
          const worst = fast.reduce((most, value, i) => {
            const want = stock[i] ?? Number.NaN;
            return Math.max(most, Math.abs(value - want) / (1 + Math.abs(want)));
          }, 0);
          expect(worst).toBeLessThan(5e-5);
          expect(fast).not.toEqual(plain);
        }
      }
    },
  );
});
