import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { prepareInt8, quantizeInt8 } from '../../src/compiler/quantize-int8.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';
import type { Tensor } from '../../src/core/tensors/tensor.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { calibrate } from '../../src/inference/calibrate.ts';
import { createNativeSession } from '../../src/inference/native-session.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { randomInput } from '../compiler/small-net.ts';
import { runStock } from '../operators/run-stock.ts';
import { missingAddon } from './native-parts.ts';

type Feeds = Readonly<Record<string, Tensor>>;

/** A float network as training leaves it: shifts everywhere, factors of both signs, a slope for each channel. */
function trained(name: string, imageSize: number): Model {
  const model = fresh(name, imageSize);
  const rng = new Rng(7);
  const fill = (value: Value | null, draw: () => number): void => {
    const data = value?.constant?.data as Float32Array | undefined;
    data?.set(Array.from(data, draw));
  };
  for (const node of model.graph.nodes()) {
    if (node.is('BatchNormalization')) {
      fill(node.input(1), () => (rng.uniform() < 0.2 ? -1 : 1) * (0.5 + rng.uniform()));
      fill(node.input(2), () => 0.3 * rng.normal());
      fill(node.input(3), () => 0.3 * rng.normal());
    } else if (node.is('Add')) fill(node.input(1), () => 0.2 * rng.normal());
    else if (node.is('PRelu')) fill(node.input(1), () => 0.5 * rng.uniform());
  }
  return model;
}

function fresh(name: string, imageSize: number): Model {
  return buildModel(name, { seed: 1, imageSize, classes: 10 });
}

async function quantize(model: Model, feeds: Feeds): Promise<Model> {
  const prepared = prepareInt8(model);
  return quantizeInt8(prepared, await calibrate(prepared, [feeds]));
}

/** Operators of the graph that onnxruntime runs, and how often each occurs. */
async function runningOperators(model: Model, feeds: Feeds): Promise<ReadonlyMap<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'bnn-int8-'));
  try {
    const optimizedModelFilePath = join(folder, 'optimized.onnx');
    await runStock(model, feeds, { optimizedModelFilePath });
    return countOperators(decodeModel(await readFile(optimizedModelFilePath)));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function countOperators({ graph }: Model): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { op } of graph.nodes()) counts.set(op, (counts.get(op) ?? 0) + 1);
  return counts;
}

/** Every computed float value, on the way that ONNX defines: onnxruntime fuses nothing that is an output. */
async function allValues(model: Model, feeds: Feeds): Promise<Readonly<Record<string, Tensor>>> {
  const copy = decodeModel(encodeModel(model));
  for (const node of copy.graph.nodes()) {
    const { dtype, shape } = model.graph.values.get(node.output.name)!;
    if (dtype !== 'float32' || node.output.isOutput()) continue;
    Object.assign(node.output, { dtype, shape });
    copy.graph.addOutput(node.output);
  }
  const session = await createNativeSession(encodeModel(copy), { optimization: 'none' });
  try {
    return { ...feeds, ...(await session.runTensors(feeds)) };
  } finally {
    await session.dispose();
  }
}

const meanSquare = (data: ArrayLike<number>): number =>
  Array.from(data).reduce((sum, x) => sum + x * x, 0) / data.length;

/**
 * The relative error of the logits that the steps let expect. Rounding to steps of size s adds noise of power s²/12, to data and to
 * weights. A layer of random weights, and Relu, pass on noise and data with the same gain, so the noises, each relative to the
 * power of its tensor, add up on the way. Sums of a shortcut and a branch average the noises of both: the real error stays below.
 */
async function expectedError(int8: Model, feeds: Feeds): Promise<number> {
  const values = await allValues(int8, feeds);
  let power = 0;
  for (const node of int8.graph.nodes()) {
    if (!node.is('DequantizeLinear')) continue;
    const scales = node.requiredInput(1).constant!.data as Float32Array;
    const stored = node.requiredInput(0).constant;
    if (stored?.dtype === 'int32') continue;
    // Weights in steps: one noise for all channels.
    power += stored
      ? 1 / 12 / meanSquare(stored.data as Int8Array)
      : scales[0]! ** 2 / 12 / meanSquare(values[node.output.name]!.data as Float32Array);
  }
  return Math.sqrt(power);
}

const MAKE = { fresh, trained };

const NETWORKS = [
  ['resnet18-fp', 'fresh', 64],
  ['resnet18-fp', 'trained', 64],
  ['resnet20-fp', 'fresh', 32],
  ['resnet20-fp', 'trained', 32],
  ['resnet20-react-fp', 'fresh', 32],
  ['resnet20-react-fp', 'trained', 32],
  ['resnet8-bireal-fp', 'trained', 32],
  ['vgg-small-fp', 'trained', 32],
  ['binarynet-mini-fp', 'trained', 28],
] as const;

/** Where a processor adds pairs of products in 16 bits that may not hold them (AVX2 without VNNI), onnxruntime takes another way. */
const EXACT = { session: { x64quantprecision: '1' } };

/** What onnxruntime computes in 8-bit integers, what only moves bytes, and the ends. */
const INT8 = /^(QLinear.*|QGemm|NhwcMaxPool|Transpose|Flatten|QuantizeLinear|DequantizeLinear|Pad)$/;

describe.skipIf(missingAddon !== undefined)(
  `float networks in 8-bit integers${missingAddon ? ` (skipped: ${missingAddon})` : ''}`,
  { timeout: 60_000 },
  () => {
    test.each(NETWORKS)('%s, %s: logits within the error of the steps', async (name, kind, imageSize) => {
      const model = MAKE[kind](name, imageSize);
      const feeds = randomInput(model, 4);
      const int8 = await quantize(model, feeds);
      const float = await runStock(model, feeds);
      const fused = await runStock(int8, feeds, { extra: EXACT });
      const defined = await runStock(int8, feeds, { graphOptimizationLevel: 'disabled' });
      const expected = await expectedError(int8, feeds);
      const error = relativeError(fused, float);
      expect(expected).toBeLessThan(0.12);
      expect(error).toBeLessThan(expected);
      expect(error).toBeGreaterThan(expected / 20);
      // Integers and the float arithmetic that defines them round differently now and then.
      expect(relativeError(fused, defined)).toBeLessThan(error);
    });

    test.each([
      ['resnet18-fp', 'fresh', 20],
      ['resnet18-fp', 'trained', 37],
      ['resnet20-fp', 'fresh', 19],
      ['resnet20-fp', 'trained', 38],
    ] as const)('%s, %s: onnxruntime runs %i QLinearConv and nothing in float', async (name, kind, count) => {
      const model = MAKE[kind](name, 32);
      const feeds = randomInput(model, 1);
      const operators = await runningOperators(await quantize(model, feeds), feeds);
      expect(operators.get('QLinearConv')).toBe(count);
      expect([...operators.keys()].filter((op) => !INT8.test(op))).toEqual([]);
    });

    test('a PRelu with several slopes runs in float between 8-bit layers', async () => {
      const model = trained('resnet20-react-fp', 32);
      const feeds = randomInput(model, 1);
      const operators = await runningOperators(await quantize(model, feeds), feeds);
      expect([...operators.keys()].filter((op) => !INT8.test(op))).toEqual(['PRelu']);
    });

    test('calibration takes the range over all runs, and keeps NaN', async () => {
      const model = prepareInt8(trained('binarynet-mini-fp', 28));
      const runs = [randomInput(model, 2, 1), randomInput(model, 1, 2)];
      const ranges = await calibrate(model, runs);
      const values = await Promise.all(runs.map((feeds) => allValues(model, feeds)));
      expect([...ranges.keys()].sort()).toEqual(Object.keys(values[0]!).sort());
      for (const [name, { min, max }] of ranges) {
        const data = values.flatMap((run) => Array.from(run[name]!.data as Float32Array)).sort((a, b) => a - b);
        expect(min).toBeCloseTo(data[0]!, 4);
        expect(max).toBeCloseTo(data.at(-1)!, 4);
      }
      const [name, x] = Object.entries(runs[0]!)[0]!;
      (x.data as Float32Array)[5] = Number.NaN;
      expect((await calibrate(model, runs)).get(name)).toEqual({ min: Number.NaN, max: Number.NaN });
    });
  },
);
