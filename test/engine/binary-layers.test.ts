/** Binary layers of our engine in WebAssembly against the plain reference: every number, to the bit. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { elementCount } from '../../src/core/tensors/shape.ts';
import { float32, type Tensor } from '../../src/core/tensors/tensor.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import { loadEngineModule } from '../../src/engine/load-engine-io.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { packConvWeights, packGemmWeights } from '../../src/operators/pack-weights.ts';
import { evaluateReference } from '../../src/operators/registry.ts';
import { LAYER_VARIANTS, type LayerVariant } from '../../src/operators/variants.ts';
import { normals as normalsOf } from '../models/network.ts';
import { randomEpilogue } from '../operators/epilogues.ts';
import { oneNodeModel } from '../operators/run-stock.ts';

const module = await loadEngineModule();
const BINARY = [...LAYER_VARIANTS].filter(([, { weightOnly }]) => !weightOnly);
const CONVS = BINARY.filter(([, { layer }]) => layer !== 'Gemm');
const GEMMS = BINARY.filter(([, { layer }]) => layer === 'Gemm');

interface ConvCase {
  readonly channels: number;
  readonly outputs: number;
  readonly groups: number;
  readonly batch: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

const PLAIN: ConvCase = {
  channels: 16,
  outputs: 16,
  groups: 1,
  batch: 1,
  size: [8, 8],
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [1, 1, 1, 1],
};

type Draw = (shape: readonly number[]) => Tensor<'float32'>;

function normals(rng: Rng): Draw {
  return (shape) => normalsOf(rng, shape);
}

const constant =
  (value: number): Draw =>
  (shape) =>
    float32(shape, new Float32Array(elementCount(shape)).fill(value));

function outputSize(c: ConvCase, axis: 0 | 1): number {
  const extent = (c.kernel[axis] - 1) * c.dilations[axis] + 1;
  return Math.floor((c.size[axis] + c.pads[axis] + c.pads[axis + 2]! - extent) / c.strides[axis]) + 1;
}

async function runEngine(name: string, inputs: readonly Tensor[], attributes: Attributes): Promise<Float32Array> {
  const model = oneNodeModel(name, inputs, attributes);
  const session = await EngineSession.create(module, encodeModel(model));
  try {
    // Inputs after x, w, scale and bias begin with the residual, where there is one.
    const tensors = { x: inputs[0], residual: inputs[4] } as Record<string, Tensor<'float32'>>;
    return Object.values(session.runAll(tensors))[0]!.data;
  } finally {
    session.dispose();
  }
}

async function compare(name: string, inputs: readonly Tensor[], attributes: Attributes): Promise<void> {
  const expected = evaluateReference(name, inputs, attributes);
  expect(await runEngine(name, inputs, attributes)).toEqual(expected.data);
}

async function compareConv(
  [name, variant]: readonly [string, LayerVariant],
  c: ConvCase,
  draw: { readonly x: Draw; readonly w: Draw },
): Promise<void> {
  const rng = new Rng(11);
  const shape = [c.outputs, c.channels, ...c.kernel];
  const resultShape = [c.batch, c.outputs, outputSize(c, 0), outputSize(c, 1)];
  const { inputs } = randomEpilogue(variant, rng, { outputs: c.outputs, resultShape, unit: true });
  const thresholds = variant.threshold ? [normals(rng)([c.groups * c.channels])] : [];
  const x = draw.x([c.batch, c.groups * c.channels, ...c.size]);
  const attributes = {
    strides: ints([...c.strides]),
    pads: ints([...c.pads]),
    dilations: ints([...c.dilations]),
    group: int(c.groups),
    kernel_shape: ints([...c.kernel]),
    channels: int(c.channels),
  };
  const w = packConvWeights(draw.w(shape).data, shape as [number, number, number, number]);
  await compare(name, [x, w, ...inputs, ...thresholds], attributes);
}

async function compareGemm(
  [name, variant]: readonly [string, LayerVariant],
  { rows, channels, outputs }: { readonly rows: number; readonly channels: number; readonly outputs: number },
  draw: { readonly x: Draw; readonly w: Draw },
): Promise<void> {
  const rng = new Rng(13);
  const { inputs } = randomEpilogue(variant, rng, { outputs, resultShape: [rows, outputs], unit: true });
  const thresholds = variant.threshold ? [normals(rng)([channels])] : [];
  const w = packGemmWeights(draw.w([outputs, channels]).data, [outputs, channels]);
  await compare(name, [draw.x([rows, channels]), w, ...inputs, ...thresholds], { channels: int(channels) });
}

const small = (least: number, most: number) => fc.integer({ min: least, max: most });
const pair = (least: number, most: number) => fc.tuple(small(least, most), small(least, most));

const ANY_CONV: fc.Arbitrary<ConvCase> = fc
  .record({
    channels: small(1, 70),
    outputs: small(1, 12),
    groups: small(1, 3),
    batch: small(1, 2),
    size: pair(1, 14),
    kernel: pair(1, 4),
    strides: pair(1, 3),
    dilations: pair(1, 2),
    pads: fc.tuple(small(0, 2), small(0, 2), small(0, 2), small(0, 2)),
  })
  .map((c): ConvCase => ({ ...c, outputs: c.outputs * c.groups }))
  .filter((c) => outputSize(c, 0) > 0 && outputSize(c, 1) > 0);

const random = () => {
  const rng = new Rng(17);
  return { x: normals(rng), w: normals(rng) };
};
/** Every product is −1: every count is as large as it gets. */
const opposite = { x: constant(1), w: constant(-1) };
const equal = { x: constant(-1), w: constant(-1) };

describe('binary convolutions', () => {
  it('of any shape', () =>
    fc.assert(
      fc.asyncProperty(fc.constantFrom(...CONVS), ANY_CONV, (layer, c) => compareConv(layer, c, random())),
      { numRuns: 120, seed: 5 },
    ));

  // Sums of halves of bytes, of bytes (192 bits), of 16 and of 32 bits; tiles of 64 pixels; outputs in fours, and too few for tables.
  it.each([
    ['a table', { channels: 4, kernel: [1, 1], pads: [0, 0, 0, 0] }],
    ['three tables and a bit', { channels: 13, kernel: [1, 1], pads: [0, 0, 0, 0] }],
    ['a chunk', { channels: 192, kernel: [1, 1], pads: [0, 0, 0, 0] }],
    ['a chunk and a bit', { channels: 193, kernel: [1, 1], pads: [0, 0, 0, 0] }],
    ['many chunks', { channels: 130, outputs: 9 }],
    ['7 outputs', { outputs: 7, channels: 65 }],
    ['8 outputs', { outputs: 8, channels: 65 }],
    ['33 pixels', { size: [3, 11] }],
    ['a tile and most of another', { size: [3, 64], kernel: [2, 3], pads: [0, 1, 0, 0] }],
    ['one pixel', { size: [1, 1] }],
    ['rows of 3', { size: [40, 3] }],
    ['more kinds of borders than a register holds', { size: [9, 9], kernel: [5, 5], pads: [2, 2, 2, 2] }],
    [
      'as many bits as 16 bits count',
      { channels: 65472, outputs: 8, size: [1, 2], kernel: [1, 1], pads: [0, 0, 0, 0] },
    ],
    ['more', { channels: 65473, outputs: 9, size: [1, 2], kernel: [1, 1], pads: [0, 0, 0, 0] }],
    ['twice as many', { channels: 131000, outputs: 8, size: [1, 1], kernel: [1, 1], pads: [0, 0, 0, 0] }],
  ] as const)('%s', async (_, changes) => {
    const c: ConvCase = { ...PLAIN, ...changes };
    const layers = CONVS.filter(([name]) => ['BinaryConv', 'BinaryConvAdd'].includes(name));
    expect(layers.length).toBeGreaterThan(0);
    for (const layer of layers) for (const draw of [random(), opposite, equal]) await compareConv(layer, c, draw);
  });

  it.each(CONVS)('%s: every epilogue, on several tiles', async (name, variant) => {
    await compareConv([name, variant], { ...PLAIN, size: [9, 15], outputs: 10 }, random());
  });
});

describe('binary dense layers', () => {
  it('of any shape', () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...GEMMS),
        fc.record({ rows: small(1, 20), channels: small(1, 400), outputs: small(1, 140) }),
        (layer, size) => compareGemm(layer, size, random()),
      ),
      { numRuns: 60, seed: 6 },
    ));

  it.each([
    [1, 65472, 9],
    [3, 65473, 2],
    [9, 131000, 1],
  ])('%i rows of %i channels to %i outputs', async (rows, channels, outputs) => {
    for (const draw of [random(), opposite, equal]) await compareGemm(GEMMS[0]!, { rows, channels, outputs }, draw);
  });
});
