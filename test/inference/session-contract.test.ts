/** What every kind of session must do alike: stock onnxruntime-node, our binding, our binding with the operator library. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import { createNativeSession } from '../../src/inference/native-session.ts';
import { createSession, type Session, type SessionOptions } from '../../src/inference/session.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { resizableBuffer } from '../resizable-buffer.ts';
import { missingAddon, missingOps } from './native-parts.ts';
import { waves } from './waves.ts';

type Create = (model: string | Uint8Array, options?: SessionOptions) => Promise<Session>;

const KINDS: readonly { readonly kind: string; readonly create: Create; readonly missing: string | undefined }[] = [
  { kind: 'stock', create: createSession, missing: undefined },
  { kind: 'native', create: createNativeSession, missing: missingAddon },
  {
    kind: 'native with operators',
    create: (model, options) => createNativeSession(model, { ...options, ops: true }),
    missing: missingAddon ?? missingOps,
  },
];

/** Doubles a matrix and transposes it; the size of the first axis has a name, that of the second has none. */
function doubling(columns: number | null = 2): Uint8Array {
  const builder = new Builder('doubling');
  const x = builder.input('x', 'float32', ['N', columns]);
  const doubled = builder.op('Mul', [x, builder.constant('two', float32([], [2]))]);
  builder.output(builder.op('Transpose', [doubled], { perm: ints([1, 0]) }, 'last', 'y'), 'float32', [columns, 'N']);
  return encodeModel(builder.model);
}

function oneNode(type: string, inputs: readonly string[], dtype: 'float32' | 'int64' = 'float32'): Uint8Array {
  const builder = new Builder('one');
  if (type.includes('.')) builder.model.opsets.set(type.split('.')[0]!, 1);
  const y = builder.op(
    type,
    inputs.map((name) => builder.input(name, dtype, [2])),
  );
  builder.output(y, dtype, [2]);
  return encodeModel(builder.model);
}

const mini = encodeModel(lowerToPacked(buildModel('binarynet-mini', { seed: 5 })).model);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-contract-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Milliseconds of processor time that this process takes in a tenth of a second after runs of a session, while nobody asks anything of it. */
async function idleTime(create: Create, restBetweenRuns: boolean): Promise<number> {
  const session = await create(mini, { threads: 2, restBetweenRuns });
  for (let i = 0; i < 3; i++) await session.run(new Float32Array(16 * 784), [16, 1, 28, 28]);
  const before = process.cpuUsage();
  await setTimeout(100);
  const { user, system } = process.cpuUsage(before);
  await session.dispose();
  return (user + system) / 1000;
}

describe.each(KINDS)('$kind session', ({ create, missing }) => {
  const run = test.skipIf(missing !== undefined);

  run('threads wait busily between runs, unless they are to rest', async () => {
    await idleTime(create, true); // What an earlier session left busy has ended by then.
    const resting = await idleTime(create, true);
    expect(4 * resting).toBeLessThan(await idleTime(create, false));
  });
  if (missing !== undefined) test.skip(`skipped: ${missing}`, () => {});

  run('runs bytes and files alike', async () => {
    const path = join(folder, 'doubling-\u00e9.onnx');
    await writeFile(path, doubling());
    for (const model of [doubling(), path]) {
      const session = await create(model, { threads: 1 });
      expect(session.at).toBe(model === path ? path : 'model');
      expect(session.ep).toBe('cpu');
      const { data, shape } = await session.run(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
      expect(shape).toEqual([2, 3]);
      expect(data).toEqual(Float32Array.of(2, 6, 10, 4, 8, 12));
      await session.dispose();
    }
  });

  run('knows inputs and outputs, free sizes by name', async () => {
    const session = await create(doubling(), { at: 'somewhere' });
    expect(session.at).toBe('somewhere');
    expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', 2] }]);
    expect(session.outputs).toEqual([{ name: 'y', dtype: 'float32', shape: [2, 'N'] }]);
    await session.dispose();
  });

  run('takes any size where a size is open', async () => {
    const session = await create(doubling(null));
    expect((await session.run(new Float32Array(12), [3, 4])).shape).toEqual([4, 3]);
    expect((await session.run(new Float32Array(0), [0, 4])).shape).toEqual([4, 0]);
    await session.dispose();
  });

  run('reads a view in the middle of a buffer', async () => {
    const session = await create(doubling());
    const buffer = Float32Array.of(9, 9, 1, 2, 9);
    expect((await session.run(buffer.subarray(2, 4), [1, 2])).data).toEqual(Float32Array.of(2, 4));
    await session.dispose();
  });

  run('results are fresh: a later run does not change them', async () => {
    const session = await create(doubling());
    const first = await session.run(Float32Array.of(1, 2), [1, 2]);
    await session.run(Float32Array.of(5, 6), [1, 2]);
    expect(first.data).toEqual(Float32Array.of(2, 4));
    await session.dispose();
    expect(first.data).toEqual(Float32Array.of(2, 4));
  });

  run('elements may be resized, handed on or changed while it runs', async () => {
    const session = await create(mini, { threads: 1 });
    const shape = [64, 1, 28, 28];
    const [x, bytes] = [waves(64 * 784, 2), 4 * 64 * 784];
    const { data: expected } = await session.run(x, shape);
    const buffer = resizableBuffer(bytes);
    const resizable = new Float32Array(buffer);
    const shared = new Float32Array(new SharedArrayBuffer(bytes));
    const moved = new Float32Array(64 * 784);
    for (const array of [resizable, shared, moved]) array.set(x);
    const runs = [resizable, shared, moved].map((array) => session.run(array, shape));
    buffer.resize(0);
    shared.fill(9);
    structuredClone(moved.buffer, { transfer: [moved.buffer] });
    for (const { data } of await Promise.all(runs)) expect(data).toEqual(expected);
    // An array that is out of its buffer's bounds has no elements.
    await expect(session.run(resizable, shape)).rejects.toMatchObject({ code: 'E_SHAPE' });
    await session.dispose();
  });

  run('may be disposed of while it runs, several times, and then runs no more', async () => {
    const session = await create(mini, { threads: 1 });
    const x = waves(8 * 784, 4);
    const ended: string[] = [];
    const run = session.run(x, [8, 1, 28, 28]).then(() => ended.push('run'));
    const ends = [session.dispose(), session.dispose()].map((end) => end.then(() => ended.push('end')));
    await expect(session.run(x, [8, 1, 28, 28])).rejects.toMatchObject({ code: 'E_BACKEND' });
    await Promise.all([run, ...ends, session.dispose()]);
    expect(ended).toEqual(['run', 'end', 'end']);
    await expect(session.run(x, [8, 1, 28, 28])).rejects.toThrow(/disposed of/);
  });

  run('runs a packed network as stock onnxruntime does', async () => {
    const reference = await createSession(mini);
    const session = await create(mini, { threads: 2 });
    expect(session.inputs).toEqual(reference.inputs);
    expect(session.outputs).toEqual(reference.outputs);
    const x = waves(3 * 28 * 28, 1);
    const [expected, { data, shape }] = [await reference.run(x, [3, 1, 28, 28]), await session.run(x, [3, 1, 28, 28])];
    expect(shape).toEqual(expected.shape);
    const largest = Math.max(...expected.data.map(Math.abs));
    for (const [i, logit] of data.entries()) expect(Math.abs(logit - expected.data[i]!)).toBeLessThan(1e-5 * largest);
    await session.dispose();
    await reference.dispose();
  });

  run('several runs at once do not mix', async () => {
    const session = await create(mini, { threads: 1 });
    const images = Array.from({ length: 12 }, (_, i) => waves(28 * 28, i));
    const oneByOne: Float32Array[] = [];
    for (const x of images) oneByOne.push((await session.run(x, [1, 1, 28, 28])).data);
    const together = await Promise.all(images.map((x) => session.run(x, [1, 1, 28, 28])));
    expect(together.map(({ data }) => data)).toEqual(oneByOne);
    await session.dispose();
  });

  run('two sessions at once', async () => {
    const sessions = await Promise.all([create(mini), create(doubling())]);
    const results = await Promise.all([
      sessions[0].run(new Float32Array(784), [1, 1, 28, 28]),
      sessions[1].run(Float32Array.of(1, 2), [1, 2]),
    ]);
    expect(results.map(({ shape }) => shape)).toEqual([
      [1, 10],
      [2, 1],
    ]);
    await Promise.all(sessions.map((session) => session.dispose()));
  });

  run('a wrong shape is named on both sides, and the session lives on', async () => {
    const session = await create(doubling());
    const failure = { code: 'E_SHAPE', at: 'model', message: expect.stringContaining('[N, 2]') as string };
    await expect(session.run(new Float32Array(6), [2, 3])).rejects.toMatchObject(failure);
    await expect(session.run(new Float32Array(5), [3, 2])).rejects.toMatchObject(failure);
    await expect(session.run(new Float32Array(2), [2])).rejects.toMatchObject(failure);
    expect((await session.run(Float32Array.of(1, 2), [1, 2])).data).toEqual(Float32Array.of(2, 4));
    await session.dispose();
  });

  run('what onnxruntime finds out while running is an error too', async () => {
    const builder = new Builder('reshape');
    const x = builder.input('x', 'float32', ['N']);
    const sizes = builder.constant('sizes', {
      dtype: 'int64',
      shape: [2],
      data: BigInt64Array.of(2n, 3n),
    });
    builder.output(builder.op('Reshape', [x, sizes]), 'float32', [2, 3]);
    const session = await create(encodeModel(builder.model));
    expect((await session.run(new Float32Array(6), [6])).shape).toEqual([2, 3]);
    await expect(session.run(new Float32Array(5), [5])).rejects.toMatchObject({ code: 'E_BACKEND', at: 'model' });
    await session.dispose();
  });

  run('several inputs and other types are refused', async () => {
    for (const model of [oneNode('Add', ['a', 'b']), oneNode('Abs', ['a'], 'int64')]) {
      const session = await create(model);
      await expect(session.run(new Float32Array(2), [2])).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
      await session.dispose();
    }
  });

  run.each([
    ['no bytes', new Uint8Array(0), 'E_FORMAT'],
    ['random bytes', Uint8Array.from({ length: 4000 }, (_, i) => (i * 7919 + (i >> 3) * 104729) & 255), 'E_FORMAT'],
    ['half a model', doubling().subarray(0, 60), 'E_FORMAT'],
    ['an operator that does not exist', oneNode('nowhere.Frob', ['a']), 'E_UNSUPPORTED'],
  ])('%s', async (_, bytes, code) => {
    await expect(create(bytes)).rejects.toMatchObject({ code, at: 'model' });
  });

  run('a missing file, a folder, a file that is no model', async () => {
    const path = join(folder, 'missing.onnx');
    await expect(create(path)).rejects.toMatchObject({ code: 'E_NOT_FOUND', at: path });
    await expect(create(folder)).rejects.toMatchObject({ code: 'E_IO', at: folder });
    const text = join(folder, 'text.onnx');
    await writeFile(text, 'this is no model, and it is long enough to be read as one');
    await expect(create(text)).rejects.toMatchObject({ code: 'E_FORMAT', at: text });
  });
});
