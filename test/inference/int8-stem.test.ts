import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { findStem, quantizeStem, stemModel } from '../../src/compiler/quantize-stem.ts';
import { PREPROCESSING_KEY, parsePreprocessing } from '../../src/core/pictures/preprocessing.ts';
import type { Tensor } from '../../src/core/tensors/tensor.ts';
import { createBatches } from '../../src/data/batches/batches.ts';
import { loadDataset } from '../../src/data/load-dataset.ts';
import type { Model } from '../../src/graph/model.ts';
import { calibrateChannels, type Pictures } from '../../src/inference/calibrate-channels.ts';
import { toChannelsFirst } from '../../src/inference/image-input.ts';
import { createNativeSession } from '../../src/inference/native-session.ts';
import { validateModel } from '../../src/inference/validate.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { readModel, writeModel } from '../../src/onnx/model-io.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { randomInput } from '../compiler/small-net.ts';
import { sharedData } from '../data/shared-data.ts';
import { runStock } from '../operators/run-stock.ts';
import { missingAddon, missingOps } from './native-parts.ts';
import { endAtGlobalAverage } from './trunk.ts';

const SIZE = 64;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-stem-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function* batchesOf(...runs: readonly Readonly<Record<string, Tensor>>[]): AsyncGenerator<Pictures> {
  for (const feeds of runs) {
    const [x] = Object.values(feeds);
    yield { x: x!.data as Float32Array, count: x!.shape[0]! };
  }
}

/** ResNet-18 with a stem in 8-bit integers, and the pictures that told its ranges. */
async function quantized(): Promise<{ packed: Model; int8: Model; feeds: Record<string, Tensor> }> {
  const packed = lowerToPacked(buildModel('resnet18', { seed: 1, imageSize: SIZE, classes: 10 })).model;
  const feeds = randomInput(packed, 2);
  const stem = findStem(packed);
  const ranges = await calibrateChannels(encodeModel(stemModel(packed, stem)), stem.image, batchesOf(feeds));
  return { packed, int8: quantizeStem(packed, { min: -4, max: 4 }, ranges), feeds };
}

describe('ranges of channels', () => {
  test('hold all batches, and keep NaN', async () => {
    const { packed } = await quantized();
    const stem = findStem(packed);
    const model = stemModel(packed, stem);
    const runs = [randomInput(packed, 2, 1), randomInput(packed, 1, 2)];
    const ranges = await calibrateChannels(encodeModel(model), stem.image, batchesOf(...runs));
    const results = await Promise.all(runs.map((feeds) => runStock(model, feeds)));
    const pixels = (SIZE / 2) ** 2;
    const of = (channel: number) =>
      results
        .flatMap((y) => Array.from(y))
        .filter((_, i) => Math.floor(i / pixels) % 64 === channel)
        .sort((a, b) => a - b);
    for (const channel of [0, 17, 63]) {
      expect(ranges[channel]).toEqual({ min: of(channel)[0], max: of(channel).at(-1) });
    }
    expect(ranges.length).toBe(64);
    (Object.values(runs[1]!)[0]!.data as Float32Array)[0] = Number.NaN;
    const broken = await calibrateChannels(encodeModel(model), stem.image, batchesOf(...runs));
    expect(broken[0]!.max).toBeNaN();
  });
});

describe('ResNet-18 with a stem in 8-bit integers', { timeout: 60_000 }, () => {
  test('stock onnxruntime runs it as one QLinearConv on blocks of pixels', async () => {
    const { int8, feeds } = await quantized();
    const optimizedModelFilePath = join(folder, 'optimized.onnx');
    await runStock(int8, feeds, { optimizedModelFilePath });
    const { graph } = decodeModel(await readFile(optimizedModelFilePath));
    const operators = [...graph.nodes()].map(({ op }) => op);
    expect(operators.slice(0, 3)).toEqual(['SpaceToDepth', 'QuantizeLinear', 'Transpose']);
    const [conv, ...others] = [...graph.nodes()].filter(({ op }) => op === 'QLinearConv');
    expect(others).toEqual([]);
    expect(conv!.requiredInput(3).constant).toMatchObject({ dtype: 'int8', shape: [64, 12, 4, 4] });
    const [pool] = [...graph.nodes()].filter(({ op }) => /MaxPool/.test(op));
    expect(pool!.requiredInput(0).producer).toBe(conv);
  });

  test('the integers are what the operators define, but for rounding', async () => {
    const { int8, feeds } = await quantized();
    const stem = [...int8.graph.nodes()].find(({ name }) => name === 'conv1.dq')!.output;
    const copy = decodeModel(encodeModel(int8));
    const end = copy.graph.addNode('Identity', [copy.graph.values.get(stem.name)!], { name: 'end' }).output;
    Object.assign(end, { dtype: stem.dtype, shape: stem.shape });
    (copy.graph.outputs as unknown[])[0] = end;
    const fused = await runStock(copy, feeds);
    const defined = await runStock(copy, feeds, { graphOptimizationLevel: 'disabled' });
    const scales = stem.producer!.requiredInput(1).constant!.data as Float32Array;
    const pixels = (SIZE / 4) ** 2;
    const steps = fused.map((y, i) => Math.abs(y - defined[i]!) / scales[Math.floor(i / pixels) % 64]!);
    expect(Math.max(...steps)).toBeLessThan(1.01);
    expect(steps.filter((step) => step > 0.01).length).toBeLessThan(steps.length / 1000);
  });

  test.skipIf(missingAddon !== undefined || missingOps !== undefined)(
    `our operators give what stock onnxruntime gives, bit by bit${missingAddon ?? missingOps ?? ''}`,
    async () => {
      const { int8, feeds } = await quantized();
      const copy = decodeModel(encodeModel(int8));
      endAtGlobalAverage(copy);
      const stock = await runStock(copy, feeds);
      const session = await createNativeSession(encodeModel(copy), { ops: true, threads: 1 });
      try {
        const [features] = Object.values(await session.runTensors(feeds));
        expect(features!.data).toEqual(stock);
      } finally {
        await session.dispose();
      }
    },
  );
});

const CIFAR = sharedData('cifar-10-batches-bin');

test.skipIf(CIFAR.isMissing)(
  `a trained network is as often right${CIFAR.isMissing ? ' (skipped: ../shared is not here)' : ''}`,
  { timeout: 120_000 },
  async () => {
    const { model: packed } = lowerToPacked(await readModel('models/cifar10-resnet8-bireal/latent.onnx'));
    const { mean, std } = parsePreprocessing(packed.metadata.get(PREPROCESSING_KEY)!);
    const { train } = await loadDataset('cifar10', { dir: CIFAR.path, limitTrain: 256, limitTest: 1 });
    async function* pictures(): AsyncGenerator<Pictures> {
      for await (const { images, count } of createBatches(train, { batchSize: 64, normalize: { mean, std } })) {
        yield { x: toChannelsFirst(images, count, 3), count };
      }
    }
    const stem = findStem(packed, 0);
    const ranges = await calibrateChannels(encodeModel(stemModel(packed, stem)), stem.image, pictures());
    const ends = (pixel: number) => mean.map((m, c) => (pixel - m) / std[c]!);
    const int8 = quantizeStem(packed, { min: Math.min(...ends(0)), max: Math.max(...ends(1)) }, ranges, 0);
    const [model, against] = [join(folder, 'int8.onnx'), join(folder, 'packed.onnx')];
    await writeModel(model, int8);
    await writeModel(against, packed);
    const found = await validateModel({ model, against, dataset: 'cifar10', dir: CIFAR.path, limit: 3000 });
    // Rounding anything in front of the first sign decides some close calls anew, as often for the better as for the worse.
    expect(found.agreement).toBeGreaterThan(0.9);
    expect(Math.abs(found.top1 - found.other!.top1)).toBeLessThan(0.015);
    expect(found.notes).toContainEqual(expect.stringMatching(/rounds values to 8-bit integers/));
  },
);
