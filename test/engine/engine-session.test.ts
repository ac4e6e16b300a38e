/** Our engine in WebAssembly against stock onnxruntime. */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';
import { float32, int64s, type Tensor, tensor } from '../../src/core/tensors/tensor.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import { loadEngineModule } from '../../src/engine/load-engine-io.ts';
import { float, int, ints, string } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { LAYER_VARIANTS } from '../../src/operators/variants.ts';
import { buildModel, zooNames } from '../../src/zoo/zoo.ts';
import { Source } from '../convert/build.ts';
import { sharedPath } from '../convert/shared-files.ts';
import { caught } from '../graph/caught.ts';
import { runStock } from '../operators/run-stock.ts';
import { CASES, createModel, INPUT_SHAPE, random } from '../training/program/operator-cases.ts';
import { layerModel, REFUSED, runAll } from './layer-models.ts';

const module = await loadEngineModule();

/** Floats are summed in another order. */
const TOLERANCE = 1e-5;

async function runEngine(model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<Float32Array> {
  const session = await EngineSession.create(module, encodeModel(model));
  try {
    return Object.values(runAll(session, feeds))[0]!.data;
  } finally {
    session.dispose();
  }
}

describe.each(zooNames())('%s', (name) => {
  it('gives the logits of onnxruntime', async () => {
    const [channels, imageSize] = name.startsWith('binarynet') ? [1, 28] : [3, 32];
    const { model } = lowerToPacked(buildModel(name, { classes: 7, channels, imageSize, seed: 3 }));
    const x = random(2, 2, channels, imageSize, imageSize);
    const expected = await runStock(model, { input: x });
    expect(relativeError(await runEngine(model, { input: x }), expected)).toBeLessThan(1e-4);
  });
});

describe.each([...LAYER_VARIANTS])('bnn.%s', (...layer) => {
  it('is what its function body computes', async () => {
    const { model, feeds } = layerModel(layer, { outputs: 6, dense: [3, 37], conv: [2, 7, 6] });
    const [found, expected] = [await runEngine(model, feeds), await runStock(model, feeds)];
    if (layer[1].weightOnly) expect(relativeError(found, expected)).toBeLessThan(TOLERANCE);
    else expect(found).toEqual(expected);
  });
});

describe.each(Object.entries(CASES))('%s', (name, build) => {
  const isRefused = REFUSED.includes(name);
  it(isRefused ? 'is refused' : 'gives the numbers of onnxruntime', async () => {
    const feeds = { x: random(4, ...INPUT_SHAPE) };
    const found = runEngine(createModel(build), feeds);
    if (isRefused) await expect(found).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    else expect(relativeError(await found, await runStock(createModel(build), feeds))).toBeLessThan(TOLERANCE);
  });
});

it.each([
  [[2, 2], [9, 11], 1, [0, 0, 0, 0]],
  [[1, 3], [5, 8], 2, [0, 0, 0, 0]],
  [[3, 1], [7, 4], 1, [0, 0, 0, 0]],
  [[2, 2], [1, 1], 2, [0, 0, 0, 0]],
  [[2, 2], [6, 5], 1, [1, 0, 0, 1]],
] as const)('1×1 in strides of %j over %j, %i groups, pads %j', async (strides, [height, width], groups, pads) => {
  const s = new Source([3, 8, height, width]);
  const w = s.c(random(6, 10, 8 / groups, 1, 1) as Tensor<'float32'>);
  const attributes = { kernel_shape: ints([1, 1]), strides: ints(strides), group: int(groups), pads: ints(pads) };
  const model = s.finish(s.op('Conv', [s.x, w, s.c(random(7, 10) as Tensor<'float32'>)], attributes));
  const feeds = { x: random(8, 3, 8, height, width) };
  expect(relativeError(await runEngine(model, feeds), await runStock(model, feeds))).toBeLessThan(TOLERANCE);
});

// On other processors onnxruntime lays the planes out in another way.
it.skipIf(process.arch !== 'x64')('normalizes after a convolution with the bits of onnxruntime', async () => {
  const s = new Source([2, 3, 9, 7]);
  const integers = (seed: number, ...shape: number[]) => {
    const { data } = random(seed, ...shape);
    return float32(shape, (data as Float32Array).map(Math.round));
  };
  const vector = (seed: number, change = (value: number) => value) =>
    s.c(float32([16], (random(seed, 16).data as Float32Array).map(change)));
  // Of integers, so that the order of sums does not matter.
  const sums = s.op('Conv', [s.x, s.c(integers(6, 16, 3, 3, 3))], { kernel_shape: ints([3, 3]) });
  const x = s.op('Relu', [sums]);
  const y = s.op('BatchNormalization', [x, vector(1), vector(2), vector(3), vector(4, (v) => Math.abs(v) + 1e-3)]);
  const model = s.finish(y);
  const feeds = { x: integers(5, 2, 3, 9, 7) };
  expect(await runEngine(model, feeds)).toEqual(await runStock(model, feeds));
});

describe('networks from elsewhere', () => {
  const files = ['larq-gtsrb-30px', 'larq-gtsrb-48px', 'brevitas-tfc-1w1a-qonnx', 'qonnx-one-layer'];
  it.each(files)('%s', async (name) => {
    const path = sharedPath(`foreign/${name}.onnx`);
    if (!existsSync(path)) return;
    const { model } = convertOnnx(decodeModel(readFileSync(path))).lowered;
    const [input] = model.graph.inputs;
    const shape = input!.shape!.map((size) => (typeof size === 'number' ? size : 2));
    const feeds = { [input!.name]: random(9, ...shape) };
    expect(relativeError(await runEngine(model, feeds), await runStock(model, feeds))).toBeLessThan(TOLERANCE);
  });
});

describe('what it does not run', () => {
  it('an operator that it lacks, by name', async () => {
    const s = new Source([1, 3, 4, 4]);
    const model = s.finish(s.op('Hardmax', [s.x]));
    const error = await EngineSession.create(module, encodeModel(model)).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'E_UNSUPPORTED', message: expect.stringContaining('Hardmax') });
    expect(error).toMatchObject({ hint: expect.stringContaining('onnxruntime') });
  });

  it.each([
    ['an integer by 0', (s: Source) => s.op('Div', [s.c(int64s([1])), s.c(int64s([0]))]), 'E_NUMERIC'],
    ['an integer of 2^80', (s: Source) => s.op('Mul', [s.c(int64s([2 ** 40])), s.c(int64s([2 ** 40]))]), 'E_NUMERIC'],
    [
      'an index of 2^60',
      (s: Source) => s.op('Gather', [s.x, s.c(int64s([2 ** 60]))], { axis: int(1) }),
      'E_UNSUPPORTED',
    ],
    [
      'an index of no element',
      (s: Source) => s.op('Gather', [s.x, s.c(int64s([7]))], { axis: int(1) }),
      'E_UNSUPPORTED',
    ],
  ])('%s, when it is loaded', async (_, build, code) => {
    const s = new Source([1, 3]);
    const model = s.finish(s.op('Cast', [build(s)], { to: int(1) }));
    await expect(EngineSession.create(module, encodeModel(model))).rejects.toMatchObject({ code });
  });

  it('numbers that do not fit the input, a session that is over', async () => {
    const s = new Source([2, 3]);
    const session = await EngineSession.create(module, encodeModel(s.finish(s.op('Relu', [s.x]))));
    expect(caught(() => session.run(new Float32Array(5), [2, 3])).code).toBe('E_SHAPE');
    expect(caught(() => session.run(new Float32Array(6), [3, 2])).code).toBe('E_SHAPE');
    expect([...session.run(Float32Array.of(-1, 2, 3, -4, 5, -6), [2, 3]).data]).toEqual([0, 2, 3, 0, 5, 0]);
    session.dispose();
    expect(caught(() => session.run(new Float32Array(6), [2, 3])).code).toBe('E_BACKEND');
  });
});

it('runs batches of many sizes, one after another', async () => {
  const { model } = lowerToPacked(buildModel('binarynet-mini', { classes: 5, channels: 1, imageSize: 12, seed: 1 }));
  const session = await EngineSession.create(module, encodeModel(model));
  const x = random(1, 9, 1, 12, 12).data as Float32Array;
  const all = session.run(x, [9, 1, 12, 12]).data;
  for (const count of [1, 2, 9, 5, 3, 7, 1]) {
    const { data } = session.run(x.subarray(0, count * 144), [count, 1, 12, 12]);
    expect(data).toEqual(all.slice(0, count * 5));
  }
});

describe('what follows from the sizes of an input', () => {
  /** Against onnxruntime, sizes one after another in one session: more than it keeps plans of. */
  async function expectSame(model: Model, shapes: readonly (readonly number[])[]): Promise<void> {
    const session = await EngineSession.create(module, encodeModel(model));
    for (const shape of shapes) {
      const x = random(6, ...shape);
      const found = session.run(x.data as Float32Array, shape).data;
      expect(relativeError(found, await runStock(model, { x }))).toBeLessThan(TOLERANCE);
    }
    await session.dispose();
  }

  const BATCHES = [2, 3, 4, 5, 6, 2].map((count) => [count, 3]);

  it.each([
    ['a factor', (s: Source, size: Value) => s.op('Mul', [s.x, size])],
    ['an operand that is broadcast', (s: Source, size: Value) => s.op('Div', [size, s.op('Abs', [s.x])])],
    ['weights', (s: Source, size: Value) => s.op('MatMul', [s.x, s.op('Mul', [s.random([3, 2]), size])])],
    [
      'an operand of the same shape',
      (s: Source, size: Value) => s.op('Add', [s.x, s.op('Expand', [size, s.op('Shape', [s.x])])]),
    ],
  ])('is of those alone: %s', async (_, build) => {
    const s = new Source(['N', 3]);
    const size = s.op('Gather', [s.op('Shape', [s.x]), s.ints([0])], { axis: int(0) });
    await expectSame(s.finish(build(s, s.op('Cast', [size], { to: int(1) }))), BATCHES);
  });

  it.each([
    ['the first', { start: int(0), end: int(1) }, [4, 6]],
    ['all but the last', { end: int(-1) }, [4, 2, 3]],
    ['the last', { start: int(-1) }, [3, 8]],
  ])('is of %s where Shape gives no others', async (_, attributes, shape) => {
    const s = new Source(['N', 2, 3]);
    const to = s.op('Concat', [s.op('Shape', [s.x], attributes), s.ints([-1])], { axis: int(0) });
    const session = await EngineSession.create(module, encodeModel(s.finish(s.op('Reshape', [s.x, to]))));
    const x = random(3, 4, 2, 3).data as Float32Array;
    expect(session.run(x, [4, 2, 3])).toEqual({ data: x, shape });
    await session.dispose();
  });

  it('is of those alone: how far a window reaches over the edges', async () => {
    const s = new Source([1, 2, 'H', 'W']);
    const attributes = { kernel_shape: ints([3, 3]), strides: ints([2, 2]), auto_pad: string('SAME_UPPER') };
    const model = s.finish(s.op('Conv', [s.x, s.random([4, 2, 3, 3])], attributes));
    await expectSame(
      model,
      [8, 7, 6].map((size) => [1, 2, size, size]),
    );
  });
});

it('gives outputs that are computed from constants and sizes', async () => {
  const s = new Source(['N', 2]);
  const anchors = s.op('Add', [s.c(float32([3], Float32Array.of(5, 6, -7))), s.c(1)]);
  const sizes = s.op('Shape', [s.x]);
  s.builder.output(anchors, 'float32', [3]);
  s.builder.output(s.op('Identity', [sizes]), 'int64', [2]);
  s.builder.output(sizes, 'int64', [2]);
  const model = s.finish(s.op('Mul', [s.x, s.op('ReduceSum', [anchors], { keepdims: int(0) })]));
  const session = await EngineSession.create(module, encodeModel(model));
  for (const count of [1, 3]) {
    const found = runAll(session, { x: random(2, count, 2) });
    const expected = random(2, count, 2).data as Float32Array;
    expect(Object.values(found).map(({ data }) => [...data])).toEqual([
      [6, 7, -6],
      [count, 2],
      [count, 2],
      [...expected.map((value) => value * 7)],
    ]);
  }
  await session.dispose();
});

it.each([
  ['data to the end', [1], 2n ** 63n - 1n, [1]],
  ['data from the end', [3], -(2n ** 63n), [-1]],
])('selects %s', async (_, starts, end, steps) => {
  const s = new Source([2, 4]);
  const ends = s.c(tensor('int64', [1], BigInt64Array.of(end)));
  const model = s.finish(s.op('Slice', [s.x, s.ints(starts), ends, s.ints([1]), s.ints(steps)]));
  const x = random(5, 2, 4);
  expect(await runEngine(model, { x })).toEqual(await runStock(model, { x }));
});

it('selects sizes to the end', async () => {
  const s = new Source(['N', 2, 3]);
  const ends = s.c(tensor('int64', [1], BigInt64Array.of(2n ** 63n - 1n)));
  const rest = s.op('Slice', [s.op('Shape', [s.x]), s.ints([1]), ends]);
  const model = s.finish(s.op('Reshape', [s.x, s.op('Concat', [s.ints([-1]), rest], { axis: int(0) })]));
  const x = random(5, 2, 2, 3);
  expect(await runEngine(model, { x })).toEqual(x.data);
});

it.each([
  [3, 3, [3, 1]],
  [3, 3, [1, 3]],
  [3, 3, [3]],
  [3, 3, [3, 3]],
  [4, 3, [4, 1]],
  [4, 3, [4, 3]],
  [3, 1, [3, 1]],
  [1, 3, [1, 1]],
  [4, 3, []],
] as const)('%i rows of %i sums and a Gemm that adds %j', async (rows, columns, shape) => {
  const s = new Source([rows, 5]);
  const added = s.c(random(3, ...shape) as Tensor<'float32'>);
  const y = s.op('Gemm', [s.x, s.random([5, columns]), added], { beta: float(0.5), alpha: float(2) });
  const model = s.finish(y);
  const x = random(8, rows, 5);
  expect(relativeError(await runEngine(model, { x }), await runStock(model, { x }))).toBeLessThan(TOLERANCE);
});

it('multiplies by a constant that memory must grow for, the first time too', async () => {
  const s = new Source([1, 2, 512]);
  // Beyond what an instance begins with.
  const w = s.c(float32([1, 512, 1024], new Float32Array(2 ** 19).fill(1)));
  const x = float32([1, 2, 512], new Float32Array(2 ** 10).fill(1));
  const found = await runEngine(s.finish(s.op('MatMul', [s.x, w])), { x });
  expect(found).toEqual(new Float32Array(2 ** 11).fill(512));
});
