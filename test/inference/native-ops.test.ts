/** Our operator library against stock onnxruntime, which runs the function bodies in the same file. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { tensor } from '../../src/core/tensors/tensor.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import { floatConv, int8Conv, packedConv, parseConvLayer } from '../../src/inference/bench-conv-models.ts';
import { argMax } from '../../src/inference/classification.ts';
import { createNativeSession } from '../../src/inference/native-session.ts';
import { createSession } from '../../src/inference/session.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { missingAddon, missingOps } from './native-parts.ts';
import { waves } from './waves.ts';

const missing = missingAddon ?? missingOps;
const TOLERANCE = 1e-5;

/** One `BinaryWeightConvRelu` of 3×3 neighbours, in the form of the tiles of 2×2 outputs. */
function weightOnly({ channels, outputs }: { readonly channels: number; readonly outputs: number }) {
  const builder = new Builder('layer');
  builder.model.opsets.set('bnn', 1);
  const wShape = [outputs, 3, 3, Math.ceil(channels / 8)];
  const bits = Uint8Array.from({ length: wShape.reduce((a, b) => a * b) }, (_, i) => (i * 151 + 29) ^ (i >> 3));
  const [w, scale, bias] = [
    builder.constant('w', tensor('uint8', wShape, bits)),
    builder.constant(
      'scale',
      tensor(
        'float32',
        [outputs],
        Float32Array.from({ length: outputs }, (_, i) => 0.5 - i / 7),
      ),
    ),
    builder.constant('bias', tensor('float32', [outputs], waves(outputs, 1))),
  ];
  const attributes = {
    channels: int(channels),
    group: int(1),
    ...Object.fromEntries(['strides', 'dilations'].map((name) => [name, ints([1, 1])])),
    kernel_shape: ints([3, 3]),
    pads: ints([1, 1, 1, 1]),
  };
  const x = builder.input('x', 'float32', ['N', channels, null, null]);
  const y = builder.op('bnn.BinaryWeightConvRelu', [x, w, scale, bias], attributes, 'layer', 'y');
  builder.output(y, 'float32', ['N', outputs, null, null]);
  addBnnFunctions(builder.model);
  return builder.model;
}

describe.skipIf(missing !== undefined)(
  `operator library${missing ? ` (skipped: ${missing})` : ''}`,
  { timeout: 60_000 },
  () => {
    test.each([
      ['binarynet-mini', [1, 28, 28]],
      ['binarynet-mini-1w32a', [1, 28, 28]],
      ['resnet20', [3, 32, 32]],
      ['resnet20-bireal', [3, 32, 32]],
      ['vgg-small', [3, 32, 32]],
    ] as const)('%s gives the logits of stock onnxruntime', async (name, image) => {
      const bytes = encodeModel(lowerToPacked(buildModel(name, { seed: 3 })).model);
      const stock = await createSession(bytes, { threads: 1 });
      for (const threads of [1, 2]) {
        const ours = await createNativeSession(bytes, { threads, ops: true });
        for (const batch of [1, 5]) {
          const shape = [batch, ...image];
          const x = waves(
            shape.reduce((product, size) => product * size, 1),
            batch,
          );
          const [expected, actual] = [await stock.run(x, shape), await ours.run(x, shape)];
          expect(actual.shape).toEqual(expected.shape);
          const largest = Math.max(...expected.data.map(Math.abs));
          for (const [i, logit] of actual.data.entries()) {
            expect(Math.abs(logit - expected.data[i]!)).toBeLessThan(TOLERANCE * largest);
          }
          for (let i = 0; i < batch; i++)
            expect(argMax(actual.data, i * 10, 10)).toBe(argMax(expected.data, i * 10, 10));
        }
        await ours.dispose();
      }
      await stock.dispose();
    });

    test('the kernels do run: the profile names our operator instead of its body', async () => {
      const { bytes, feeds } = packedConv(parseConvLayer('32@8', 1));
      const names: string[][] = [];
      for (const ops of [true, false]) {
        const folder = await mkdtemp(join(tmpdir(), 'bnn-ops-'));
        const session = await createNativeSession(bytes, { ops, threads: 1, profilePrefix: join(folder, 'p') });
        await session.runTensors(feeds);
        const events = JSON.parse(await readFile(session.endProfiling(), 'utf8')) as { args?: { op_name?: string } }[];
        names.push([...new Set(events.flatMap(({ args }) => args?.op_name ?? []))]);
        await session.dispose();
        await rm(folder, { recursive: true });
      }
      const [withOps, stock] = names;
      expect(withOps).toContain('BinaryConv');
      expect(withOps).not.toContain('Conv');
      expect(stock).not.toContain('BinaryConv');
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38])(
      '%s in weight-only layers reaches what it does in stock onnxruntime',
      async (value) => {
        const layer = { channels: 16, outputs: 18 };
        const bytes = encodeModel(weightOnly(layer));
        const [ours, stock] = [await createNativeSession(bytes, { ops: true }), await createNativeSession(bytes)];
        const size = layer.channels * 7 * 11;
        for (const at of [0, 5, 40, 76, 77 * 7 + 33, size - 1]) {
          const x = waves(2 * size, at);
          x[at] = value;
          const shape = [2, layer.channels, 7, 11];
          const [{ data: a }, { data: b }] = [await ours.run(x, shape), await stock.run(x, shape)];
          for (const [i, expected] of b.entries()) {
            const found = a[i]!;
            const isClose = Math.abs(found - expected) <= 1e-4 * (1 + Math.abs(expected));
            expect(Object.is(found, expected) || isClose, `${at}, ${i}: ${found}, expected ${expected}`).toBe(true);
          }
        }
        await ours.dispose();
        await stock.dispose();
      },
    );

    test('the conv models of the benchmark describe the same layer', async () => {
      for (const text of ['40@9', '16-24@11k1s2', '64@7k5']) {
        const layer = parseConvLayer(text, 2);
        const packed = packedConv(layer);
        const x = packed.feeds['x']!;
        const [ours, stock] = [
          await createNativeSession(packed.bytes, { ops: true }),
          await createSession(packed.bytes),
        ];
        const actual = (await ours.runTensors({ x }))['y']!;
        const expected = await stock.run(x.data as Float32Array, x.shape);
        expect(actual.shape).toEqual(expected.shape);
        const largest = Math.max(...expected.data.map(Math.abs));
        for (const [i, y] of expected.data.entries()) {
          expect(Math.abs(Number(actual.data[i]) - y)).toBeLessThan(TOLERANCE * largest);
        }
        for (const other of [floatConv(layer), int8Conv(layer)]) {
          const session = await createNativeSession(other.bytes);
          expect((await session.runTensors(other.feeds))['y']!.shape).toEqual(expected.shape);
          await session.dispose();
        }
        await ours.dispose();
        await stock.dispose();
      }
    });
  },
);
