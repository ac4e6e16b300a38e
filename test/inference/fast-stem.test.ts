/** Float stems by Winograd's filtering against stock onnxruntime, up to rounding; and where they cannot be. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { stemsOf } from '../../src/engine/stem.ts';
import type { Model } from '../../src/graph/model.ts';
import { fuseChains } from '../../src/inference/fuse-chains.ts';
import { type OpenOptions, openSession } from '../../src/inference/open-session.ts';
import { validateModel } from '../../src/inference/validate.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { benchModel } from '../../src/tasks/bench-inference.ts';
import { predictPictures } from '../../src/tasks/predict-pictures.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { missingAddon, missingOps } from './native-parts.ts';
import { type Stem, stemModel } from './stem-models.ts';
import { waves } from './waves.ts';

const missing = missingAddon ?? missingOps;

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
  test.each(Object.entries(STEMS))('%s', (_, stem) => expect(countsOf(stemModel(stem))).toEqual([1, 1]));
  test.each(Object.entries(OTHERS))('not: %s', (_, stem) => expect(countsOf(stemModel(stem))).toEqual([0, 0]));
  test('a second normalization stays, which no chain takes', () => {
    expect(countsOf(stemModel({ order: ['BatchNormalization', 'MaxPool', 'BatchNormalization'] }))).toEqual([0, 1]);
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
    const session = await openSession(encodeModel(stemModel({ order: ['MaxPool'] })), {
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
      const model = stemModel(stem);
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
