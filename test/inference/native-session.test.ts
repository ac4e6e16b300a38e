import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { createArray, type Dtype, type Tensor } from '../../src/core/tensors/tensor.ts';
import { Builder } from '../../src/graph/builder.ts';
import { loadOrtAddon } from '../../src/inference/native-addon.ts';
import { createNativeSession } from '../../src/inference/native-session.ts';
import { onnxruntimeVersion } from '../../src/inference/provider.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { missingAddon } from './native-parts.ts';
import { waves } from './waves.ts';

function addon() {
  const found = loadOrtAddon();
  if (!found.ok) throw new Error(found.reason);
  return found.value;
}

function identity(dtype: Dtype, shape: readonly (number | null)[]): Uint8Array {
  const builder = new Builder('identity');
  builder.output(builder.op('Identity', [builder.input('x', dtype, shape)], {}, 'copy', 'y'), dtype, shape);
  return encodeModel(builder.model);
}

/** Two inputs, two outputs. */
function sumAndProduct(): Uint8Array {
  const builder = new Builder('two');
  const [a, b] = [builder.input('a', 'int32', ['N']), builder.input('b', 'int32', ['N'])];
  builder.output(builder.op('Add', [a, b], {}, 'add', 'sum'), 'int32', ['N']);
  builder.output(builder.op('Mul', [a, b], {}, 'mul', 'product'), 'int32', ['N']);
  return encodeModel(builder.model);
}

const int32 = (...values: number[]): Tensor => ({
  dtype: 'int32',
  shape: [values.length],
  data: Int32Array.from(values),
});

const resnet = () => encodeModel(lowerToPacked(buildModel('resnet20', { seed: 2 })).model);

describe.skipIf(missingAddon !== undefined)(
  `native session${missingAddon ? ` (skipped: ${missingAddon})` : ''}`,
  { timeout: 30_000 },
  () => {
    test('uses the onnxruntime of onnxruntime-node', () => {
      expect(addon().version).toBe(onnxruntimeVersion());
    });

    test.each([
      'float32',
      'float64',
      'float16',
      'int8',
      'uint8',
      'int16',
      'uint16',
      'int32',
      'uint32',
      'int64',
      'uint64',
      'bool',
    ] as const)('%s goes in and comes out', async (dtype) => {
      const session = await createNativeSession(identity(dtype, [2, null]));
      expect(session.inputs[0]?.dtype).toBe(dtype);
      const data = createArray(dtype, 6);
      new Uint8Array(data.buffer).set(
        Array.from({ length: data.byteLength }, (_, i) => (dtype === 'bool' ? i & 1 : i)),
      );
      const x = { dtype, shape: [2, 3], data } as Tensor;
      expect(await session.runTensors({ x })).toEqual({ y: x });
      await session.dispose();
    });

    test('scalars and empty tensors', async () => {
      const scalar = await createNativeSession(identity('int64', []));
      const x: Tensor = { dtype: 'int64', shape: [], data: BigInt64Array.of(-7n) };
      expect(await scalar.runTensors({ x })).toEqual({ y: x });
      await scalar.dispose();
      const empty = await createNativeSession(identity('uint8', [null, null]));
      const none: Tensor = { dtype: 'uint8', shape: [3, 0], data: new Uint8Array(0) };
      expect(await empty.runTensors({ x: none })).toEqual({ y: none });
      await empty.dispose();
    });

    test('feeds and outputs by name', async () => {
      const session = await createNativeSession(sumAndProduct());
      const feeds = { b: int32(10, 20, 30), a: int32(1, 2, 3) };
      expect(await session.runTensors(feeds)).toEqual({ sum: int32(11, 22, 33), product: int32(10, 40, 90) });
      expect(await session.runTensors(feeds, ['product'])).toEqual({ product: int32(10, 40, 90) });
      await session.dispose();
    });

    test.each([
      ['a missing input', { a: int32(1) }, undefined, /input b is missing: the model takes a, b/],
      ['an unknown input', { a: int32(1), b: int32(1), c: int32(1) }, undefined, /no input c/],
      ['an unknown output', { a: int32(1), b: int32(1) }, ['z'], /no output z: the model gives sum, product/],
      [
        'another type',
        { a: int32(1), b: { dtype: 'float32', shape: [1], data: new Float32Array(1) } },
        undefined,
        /b is int32, but float32/,
      ],
      [
        'another rank',
        { a: int32(1), b: { dtype: 'int32', shape: [1, 1], data: new Int32Array(1) } },
        undefined,
        /Invalid rank/,
      ],
      [
        'too few elements',
        { a: int32(1), b: { dtype: 'int32', shape: [5], data: new Int32Array(1) } },
        undefined,
        /has 4 bytes, but its shape and type need 20/,
      ],
      [
        'a shape beyond all memory',
        { a: int32(1), b: { dtype: 'int32', shape: [2 ** 40, 2 ** 40], data: new Int32Array(1) } },
        undefined,
        /in the shape of a tensor/,
      ],
      [
        'a negative size',
        { a: int32(1), b: { dtype: 'int32', shape: [-1], data: new Int32Array(1) } },
        undefined,
        /size -1/,
      ],
    ] as const)('%s', async (_, feeds, outputs, message) => {
      const session = await createNativeSession(sumAndProduct());
      const result = session.runTensors(feeds as Readonly<Record<string, Tensor>>, outputs);
      await expect(result).rejects.toMatchObject({
        code: 'E_SHAPE',
        message: expect.stringMatching(message) as string,
      });
      await session.dispose();
    });

    test('the event loop goes on during a run', async () => {
      const session = await createNativeSession(resnet(), { threads: 1 });
      const x = waves(64 * 3 * 32 * 32, 1);
      let ticks = 0;
      let isDone = false;
      const result = session.run(x, [64, 3, 32, 32]).then(() => {
        isDone = true;
      });
      while (!isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        ticks++;
      }
      await result;
      expect(ticks).toBeGreaterThan(10);
      await session.dispose();
    });

    test('a session may be disposed of while it runs, and twice', async () => {
      const session = await createNativeSession(resnet(), { threads: 1 });
      const x = waves(8 * 3 * 32 * 32, 1);
      const runs = [1, 2, 3].map(() => session.run(x, [8, 3, 32, 32]));
      await session.dispose();
      await session.dispose();
      for (const { shape } of await Promise.all(runs)) expect(shape).toEqual([8, 10]);
      await expect(session.run(x, [8, 3, 32, 32])).rejects.toMatchObject({
        code: 'E_BACKEND',
        message: expect.stringContaining('disposed') as string,
      });
    });

    test('time gives one figure for each run', async () => {
      const session = await createNativeSession(sumAndProduct());
      const times = await session.time({ a: int32(1), b: int32(2) }, 5);
      expect(times).toHaveLength(5);
      for (const ms of times) expect(ms).toBeGreaterThan(0);
      await session.dispose();
    });

    test('a profile lists the operators', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'bnn-profile-'));
      try {
        const session = await createNativeSession(sumAndProduct(), { profilePrefix: join(folder, 'p') });
        await session.runTensors({ a: int32(1), b: int32(2) });
        const path = session.endProfiling();
        expect(path.startsWith(folder)).toBe(true);
        const events = JSON.parse(await readFile(path, 'utf8')) as { args?: { op_name?: string } }[];
        expect(new Set(events.flatMap(({ args }) => args?.op_name ?? []))).toEqual(new Set(['Add', 'Mul']));
        await session.dispose();
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    test('a configuration entry that is not one is an error', async () => {
      const entry = { config: { '': 'x' } };
      await expect(createNativeSession(sumAndProduct(), entry)).rejects.toMatchObject({ code: 'E_BACKEND' });
    });

    test('other execution providers are refused', async () => {
      await expect(createNativeSession(sumAndProduct(), { ep: 'cuda' })).rejects.toMatchObject({
        code: 'E_UNSUPPORTED',
      });
    });
  },
);

describe.skipIf(missingAddon !== undefined)('addon', { timeout: 30_000 }, () => {
  test('never crashes on arguments that make no sense', async () => {
    const module = addon().addon as unknown as Record<string, (...args: unknown[]) => unknown>;
    const handle = await module['create']!({ runtime: addon().runtime, model: sumAndProduct() });
    const odd = fc.oneof(
      fc.anything(),
      fc.constant(handle),
      fc.constant(['a', 'b']),
      fc.constant([{ type: 6, shape: [1], data: new Int32Array(1) }]),
      fc.constant(new Uint8Array(3)),
      fc.record({
        runtime: fc.constant(addon().runtime),
        model: fc.oneof(fc.uint8Array(), fc.string(), fc.anything()),
      }),
    );
    const names = Object.keys(module).filter((name) => name !== 'popcountLimit');
    const call = fc.tuple(fc.constantFrom(...names), fc.array(odd, { maxLength: 5 }));
    await fc.assert(
      fc.asyncProperty(call, async ([name, args]) => {
        // `dispose` and `time` may succeed with such arguments; everything else must be an Error with a known code.
        if (args[0] === handle && (name === 'dispose' || name === 'time' || name === 'endProfiling')) return;
        try {
          await module[name]!(...args);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect(['usage', 'model', 'runtime', 'run', 'ops']).toContain((error as { code?: string }).code);
        }
      }),
      { numRuns: 500, seed: 7 },
    );
    await module['dispose']!(handle);
  });

  test('the process may end while a session runs', async () => {
    const { path, runtime } = addon();
    const program = `
      const addon = require(process.argv[1]);
      const model = Buffer.from(process.argv[3], 'base64');
      addon.create({ runtime: process.argv[2], model: new Uint8Array(model) }).then((handle) => {
        const feed = { type: 1, shape: [16, 1, 28, 28], data: new Float32Array(16 * 784) };
        for (let i = 0; i < 8; i++) addon.time(handle, ['input'], [feed], ['logits'], 50);
        setTimeout(() => process.exit(7), 20);
      });`;
    const model = encodeModel(lowerToPacked(buildModel('binarynet-mini', { seed: 1 })).model);
    const child = promisify(execFile)(process.execPath, [
      '-e',
      program,
      path,
      runtime,
      Buffer.from(model).toString('base64'),
    ]);
    await expect(child).rejects.toMatchObject({ code: 7, stderr: '' });
  });

  test('every row counts bits at a plausible rate', async () => {
    const { popcountRows, popcountLimit } = addon().addon;
    const rows = popcountRows();
    expect(rows[0]).toMatch(/scalar|neon/);
    for (const row of rows) {
      const rate = await popcountLimit(row, 1, 20);
      // Between one bit and 16 384 bits per nanosecond.
      expect(rate).toBeGreaterThan(1e9);
      expect(rate).toBeLessThan(16_384e9);
    }
    expect(await popcountLimit('mmx', 1, 20)).toBe(0);
  });
});
