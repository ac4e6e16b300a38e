import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { ints } from '../../src/graph/attribute.ts';
import { Builder } from '../../src/graph/builder.ts';
import { inspectProvider } from '../../src/inference/provider.ts';
import { createSession } from '../../src/inference/session.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-session-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Doubles a [N, 2] matrix and transposes it. */
function doubling(): Uint8Array {
  const builder = new Builder('doubling');
  const x = builder.input('x', 'float32', ['N', 2]);
  const two = builder.constant('two', float32([], [2]));
  const doubled = builder.op('Mul', [x, two]);
  builder.output(builder.op('Transpose', [doubled], { perm: ints([1, 0]) }), 'float32', [2, 'N']);
  return encodeModel(builder.model);
}

function oneNode(type: string, inputs: readonly string[]): Uint8Array {
  const builder = new Builder('one');
  if (type.includes('.')) builder.model.opsets.set(type.split('.')[0]!, 1);
  const y = builder.op(
    type,
    inputs.map((name) => builder.input(name, 'float32', [2])),
  );
  builder.output(y, 'float32', [2]);
  return encodeModel(builder.model);
}

describe('createSession', () => {
  test('runs bytes and files alike', async () => {
    const path = join(folder, 'doubling.onnx');
    await writeFile(path, doubling());
    for (const model of [doubling(), path]) {
      const session = await createSession(model, { threads: 1 });
      expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', 2] }]);
      const { data, shape } = await session.run(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
      expect(shape).toEqual([2, 3]);
      expect([...data]).toEqual([2, 6, 10, 4, 8, 12]);
      await session.dispose();
    }
  });

  test('a wrong shape is named on both sides', async () => {
    const session = await createSession(doubling());
    const failure = { code: 'E_SHAPE', message: expect.stringContaining('[N, 2]') as string };
    await expect(session.run(new Float32Array(6), [2, 3])).rejects.toMatchObject(failure);
    await expect(session.run(new Float32Array(5), [3, 2])).rejects.toMatchObject(failure);
    await session.dispose();
  });

  test('several inputs are refused', async () => {
    const session = await createSession(oneNode('Add', ['a', 'b']));
    await expect(session.run(new Float32Array(2), [2])).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    await session.dispose();
  });

  test.each([
    ['no bytes', new Uint8Array(0), 'E_FORMAT'],
    ['random bytes', Uint8Array.from({ length: 4000 }, (_, i) => (i * 7919 + (i >> 3) * 104729) & 255), 'E_FORMAT'],
    ['half a model', doubling().subarray(0, 60), 'E_FORMAT'],
    ['an operator that does not exist', oneNode('nowhere.Frob', ['a']), 'E_UNSUPPORTED'],
    ['a bnn operator without its body', oneNode('bnn.Sign', ['a']), 'E_UNSUPPORTED'],
  ])('%s', async (_, bytes, code) => {
    await expect(createSession(bytes)).rejects.toMatchObject({ code, at: 'model' });
  });

  test('a missing file and a folder', async () => {
    const path = join(folder, 'missing.onnx');
    await expect(createSession(path)).rejects.toMatchObject({ code: 'E_NOT_FOUND', at: path });
    await expect(createSession(folder)).rejects.toMatchObject({ code: 'E_IO', at: folder });
  });
});

const cuda = inspectProvider('cuda');

test.skipIf(cuda.works)(
  'a provider that is not there is an error with the reason, never another provider',
  async () => {
    await expect(createSession(doubling(), { ep: 'cuda' })).rejects.toMatchObject({
      code: 'E_BACKEND',
      message: expect.stringContaining(cuda.detail) as string,
      hint: cuda.hint,
    });
  },
);
