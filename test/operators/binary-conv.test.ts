import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';
import { float32, type Tensor, tensor } from '../../src/core/tensors/tensor.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { packConvWeights } from '../../src/operators/pack-weights.ts';
import { addBnnFunctions, BNN_OPERATORS, evaluateReference } from '../../src/operators/registry.ts';
import { LAYER_VARIANTS, variantsOf } from '../../src/operators/variants.ts';
import { useEarlierBodies } from './earlier-bodies.ts';
import { randomEpilogue } from './epilogues.ts';
import { oneNodeModel, runNode, runStock } from './run-stock.ts';

interface Case {
  readonly n: number;
  readonly channels: number;
  readonly outputs: number;
  readonly group: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
}

const plain = { n: 1, outputs: 4, group: 1, size: [5, 6], kernel: [3, 3], strides: [1, 1], dilations: [1, 1] } as const;
const same = { ...plain, pads: [1, 1, 1, 1] } as const;

const CASES: readonly Case[] = [
  ...[1, 3, 7, 8, 9, 16, 20, 64].map((channels) => ({ ...same, channels })),
  { ...same, channels: 9, n: 3, strides: [2, 2] },
  { ...same, channels: 3, n: 2, pads: [0, 2, 1, 0] },
  { ...same, channels: 8, pads: [2, 2, 2, 2], dilations: [2, 2] },
  { ...same, channels: 7, size: [9, 8], pads: [0, 1, 3, 2], dilations: [1, 2], strides: [2, 1] },
  { ...same, channels: 5, kernel: [1, 1], pads: [0, 0, 0, 0], strides: [2, 2] },
  { ...same, channels: 4, kernel: [2, 5], pads: [1, 2, 0, 2], n: 2 },
  { ...same, channels: 9, outputs: 6, group: 2 },
  { ...same, channels: 1, outputs: 4, group: 4, strides: [2, 2] },
  { ...same, channels: 20, outputs: 1, n: 2 },
];

function attributesOf(c: Case): Attributes {
  return {
    strides: ints(c.strides),
    pads: ints(c.pads),
    dilations: ints(c.dilations),
    group: int(c.group),
    kernel_shape: ints(c.kernel),
    channels: int(c.channels),
  };
}

/** Float convolution by scatter: every input element adds to the outputs that see it. Written unlike the reference. */
function scatterConv(c: Case, x: ArrayLike<number>, w: ArrayLike<number>): { acc: number[]; shape: number[] } {
  const [height, width] = c.size;
  const out = ([0, 1] as const).map((axis) => {
    const reach = (c.kernel[axis] - 1) * c.dilations[axis] + 1;
    return Math.floor((c.size[axis] + c.pads[axis] + c.pads[axis + 2]! - reach) / c.strides[axis]) + 1;
  });
  const [oh, ow] = out as [number, number];
  const acc = new Array<number>(c.n * c.outputs * oh * ow).fill(0);
  const perGroup = c.outputs / c.group;
  for (let n = 0; n < c.n; n++)
    for (let ch = 0; ch < c.channels * c.group; ch++)
      for (let y = 0; y < height; y++)
        for (let z = 0; z < width; z++) {
          const value = x[((n * c.channels * c.group + ch) * height + y) * width + z]!;
          const g = Math.floor(ch / c.channels);
          for (let r = 0; r < c.kernel[0]; r++)
            for (let s = 0; s < c.kernel[1]; s++) {
              const i = (y + c.pads[0] - r * c.dilations[0]) / c.strides[0];
              const j = (z + c.pads[1] - s * c.dilations[1]) / c.strides[1];
              if (!Number.isInteger(i) || !Number.isInteger(j) || i < 0 || j < 0 || i >= oh || j >= ow) continue;
              for (let o = g * perGroup; o < (g + 1) * perGroup; o++) {
                const weight = w[((o * c.channels + (ch % c.channels)) * c.kernel[0] + r) * c.kernel[1] + s]!;
                acc[((n * c.outputs + o) * oh + i) * ow + j]! += value * weight;
              }
            }
        }
  return { acc, shape: [c.n, c.outputs, oh, ow] };
}

interface Sample {
  readonly inputs: readonly Tensor[];
  readonly expected: Float32Array;
  readonly shape: number[];
}

const sign = (x: number) => (x >= 0 ? 1 : -1);

/** `unit`: scale 1, bias 0 and whole numbers, so that nothing is rounded. */
function sample(name: string, c: Case, seed: number, unit: boolean): Sample {
  const variant = LAYER_VARIANTS.get(name)!;
  const rng = new Rng(seed);
  const normals = (count: number) => Float32Array.from({ length: count }, () => rng.normal());
  const x = normals(c.n * c.channels * c.group * c.size[0] * c.size[1]);
  // Zeros of both kinds are signed +1.
  x[0] = 0;
  x[1] = -0;
  const weights = normals(c.outputs * c.channels * c.kernel[0] * c.kernel[1]);
  const thresholds = normals(c.channels * c.group);
  // On a value of x: it counts as +1.
  if (variant.threshold) thresholds[0] = x[1] = x[2]!;
  const least = (at: number) =>
    variant.threshold ? thresholds[Math.floor(at / (c.size[0] * c.size[1])) % thresholds.length]! : 0;
  const data = variant.weightOnly ? x : x.map((value, at) => (value >= least(at) ? 1 : -1));
  const { acc, shape } = scatterConv(c, data, weights.map(sign));
  const epilogue = randomEpilogue(variant, rng, { outputs: c.outputs, resultShape: shape, unit });
  const inner = shape[2]! * shape[3]!;
  const expected = Float32Array.from(acc, (sum, at) => epilogue.finish(sum, Math.floor(at / inner) % c.outputs, at));
  const inputs = [
    float32([c.n, c.channels * c.group, ...c.size], x),
    packConvWeights(weights, [c.outputs, c.channels, ...c.kernel]),
    ...epilogue.inputs,
    ...(variant.threshold ? [float32([thresholds.length], thresholds)] : []),
  ];
  return { inputs, expected, shape };
}

const title = (c: Case) =>
  `${c.n}×${c.channels}·${c.group}→${c.outputs} ${c.size.join('×')} k${c.kernel} s${c.strides} p${c.pads} d${c.dilations}`;
const NAMES = [...variantsOf('Conv').keys()];

describe.each(NAMES)('%s', (name) => {
  const isExact = !LAYER_VARIANTS.get(name)!.weightOnly;

  it.each(CASES.map((c): [string, Case] => [title(c), c]))('%s', async (_, c) => {
    for (const unit of [true, false]) {
      const { inputs, expected, shape } = sample(name, c, 7 * c.channels + c.n, unit);
      const reference = evaluateReference(name, inputs, attributesOf(c));
      const stock = await runNode(name, inputs, attributesOf(c));
      expect(reference.shape).toEqual(shape);
      // The reference rounds once, float32 arithmetic after each step; with unit scale there is nothing to round.
      if (isExact && unit) expect(reference.data).toEqual(expected);
      else expect(relativeError(reference.data, expected)).toBeLessThan(5e-7);
      if (isExact) expect(stock).toEqual(expected);
      else expect(relativeError(stock, expected)).toBeLessThan(1e-6);
    }
  });
});

describe('BinaryConv in stock onnxruntime', () => {
  it('unpacks the weights when the session loads, not at each run', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bnn-operators-'));
    try {
      for (const name of NAMES) {
        const optimizedModelFilePath = join(folder, `${name}.onnx`);
        const { inputs } = sample(name, CASES[0]!, 1, false);
        await runNode(name, inputs, attributesOf(CASES[0]!), { optimizedModelFilePath });
        const optimized = decodeModel(await readFile(optimizedModelFilePath));
        const ops = [...optimized.graph.nodes()].map(({ op }) => op);
        expect(ops.some((op) => op.endsWith('Conv'))).toBe(true);
        expect(ops.filter((op) => /Gather|Cast|Slice|Transpose|Unsqueeze|Binary/.test(op))).toEqual([]);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  /** Every float is signed right: the steps that the body takes for it overflow and underflow on purpose. */
  const EDGES = [
    0, -0, 1.4e-45, -1.4e-45, 1.1e-38, -1.1e-38, 1.2e-38, -1.2e-38, 1e-30, -1e-30, 0.5, -0.5, 3.4e38, -3.4e38,
    Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY,
  ]; // biome-ignore format: one row
  const OPTIMIZATIONS = ['disabled', 'basic', 'extended', 'all'] as const;

  it.each(NAMES.filter((name) => !LAYER_VARIANTS.get(name)!.weightOnly))(
    '%s signs every float as the earlier body does, whatever is optimized',
    async (name) => {
      const variant = LAYER_VARIANTS.get(name)!;
      for (const channels of [3, 16]) {
        const c: Case = { ...same, channels, outputs: 16, n: 2 };
        const { inputs } = sample(name, c, 5, false);
        const rng = new Rng(channels);
        const edge = () => EDGES[rng.below(EDGES.length)]!;
        const x = inputs[0]!.data as Float32Array;
        for (let i = 0; i < x.length; i++) x[i] = edge();
        // ∞ − ∞ is no number, so the thresholds are finite.
        const thresholds = inputs.at(-1)!.data as Float32Array;
        if (variant.threshold) for (let i = 0; i < thresholds.length; i++) thresholds[i] = EDGES[rng.below(14)]!;
        const model = oneNodeModel(name, inputs, attributesOf(c));
        const names = BNN_OPERATORS.get(name)!.schema.inputs.map((input) => input.name);
        const feeds = Object.fromEntries(
          inputs.flatMap((t, i) => (/^(x|residual)$/.test(names[i]!) ? [[names[i]!, t]] : [])),
        );
        const results = [];
        for (const graphOptimizationLevel of OPTIMIZATIONS) {
          results.push(await runStock(model, feeds, { graphOptimizationLevel }));
        }
        useEarlierBodies(model);
        const expected = await runStock(model, feeds, { graphOptimizationLevel: 'disabled' });
        for (const result of results) expect(result).toEqual(expected);
      }
    },
  );

  it('rounds a residual as it is added, though a convolution that it comes from could take the sum in', async () => {
    const rng = new Rng(3);
    const normals = (...shape: number[]) =>
      float32(
        shape,
        Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => rng.normal()),
      );
    const graph = new Graph();
    const x = graph.addInput('x', { dtype: 'float32', shape: [1, 16, 8, 8] });
    const float = graph.addNode('Conv', [x, graph.addConstant('f', normals(16, 16, 1, 1))], {
      outputs: ['float'],
    }).output;
    const constants = [packConvWeights(normals(16, 16, 3, 3).data, [16, 16, 3, 3]), normals(16), normals(16)];
    const inputs = [x, ...constants.map((value, i) => graph.addConstant(`c${i}`, value)), float];
    const attributes = attributesOf({ ...same, channels: 16, outputs: 16 });
    for (const value of graph.addNode('BinaryConvAdd', inputs, { domain: 'bnn', attributes, outputs: ['y'] }).outputs) {
      graph.addOutput(value);
    }
    const model = new Model(graph);
    addBnnFunctions(model);
    const feeds = { x: normals(1, 16, 8, 8) };
    const optimized = await runStock(model, feeds);
    useEarlierBodies(model);
    expect(optimized).toEqual(await runStock(model, feeds, { graphOptimizationLevel: 'disabled' }));
  });

  it('gives the same without any optimization', async () => {
    const c = CASES[10]!;
    const { inputs, expected } = sample('BinaryConvReluAdd', c, 3, false);
    const stock = await runNode('BinaryConvReluAdd', inputs, attributesOf(c), { graphOptimizationLevel: 'disabled' });
    expect(stock).toEqual(expected);
  });

  it('does not depend on the order of the attributes', async () => {
    const c = CASES[11]!;
    const { inputs, expected } = sample('BinaryConv', c, 3, true);
    const reversed = Object.fromEntries(Object.entries(attributesOf(c)).reverse());
    expect(await runNode('BinaryConv', inputs, reversed)).toEqual(expected);
  });
});

describe('misuse of BinaryConv', () => {
  const c = CASES[4]!;
  const { inputs } = sample('BinaryConv', c, 1, true);
  const run = (attributes: Attributes, changed: readonly Tensor[] = inputs) =>
    evaluateReference('BinaryConv', changed, attributes);
  const without = (key: string) => Object.fromEntries(Object.entries(attributesOf(c)).filter(([name]) => name !== key));

  it.each(['strides', 'pads', 'dilations', 'group', 'kernel_shape', 'channels'])('needs attribute %s', (key) => {
    expect(() => run(without(key))).toThrow(`attribute ${key} is missing`);
  });

  it.each([
    ['strides', ints([1]), 'attribute strides is [1], expected 2 integers'],
    ['pads', int(1), 'attribute pads is int, expected 4 integers'],
    ['group', int(0), 'attribute group is 0, expected a positive integer'],
    ['group', int(3), '4 output channels in 3 groups'],
    ['channels', int(17), 'input x has shape [1, 9, 5, 6], expected [?, 17, ?, ?]'],
    ['kernel_shape', ints([1, 3]), 'input w has shape [4, 3, 3, 2], expected [?, 1, 3, 2]'],
    ['dilations', ints([9, 1]), 'a kernel of 3 (dilation 9) does not fit 5 padded elements'],
  ] as const)('refuses %s = %o', (key, value, message) => {
    expect(() => run({ ...attributesOf(c), [key]: value })).toThrow(message);
  });

  it('refuses inputs of another dtype, shape or number', () => {
    const replaced = (at: number, t: Tensor) => inputs.map((old, i) => (i === at ? t : old));
    const attributes = attributesOf(c);
    expect(() => run(attributes, replaced(2, float32([3], [1, 2, 3])))).toThrow('input scale has shape [3]');
    expect(() => run(attributes, replaced(1, tensor('int8', [4, 3, 3, 2], new Int8Array(72))))).toThrow(
      'input w is int8',
    );
    expect(() => run(attributes, inputs.slice(0, 3))).toThrow('input bias is missing');
    expect(() => evaluateReference('BinaryConv3', inputs, attributes)).toThrow('there is no operator bnn.BinaryConv3');
  });
});
