/** Damaged files give an error or a result: never a crash, never a hang. */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { H5Thread } from '../../src/convert/keras/h5-thread.ts';
import { fromKeras } from '../../src/convert/keras/keras-checkpoint.ts';
import { readPytorchCheckpoint } from '../../src/convert/pytorch/read-checkpoint.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32, tensor } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { Source } from './build.ts';
import { h5File, missingH5 } from './h5-files.ts';
import { sharedPath } from './shared-files.ts';
import { torchLegacy, torchZip } from './torch-files.ts';

const MUTATIONS = 10_000;

/** Changes, inserts, removes or repeats a few bytes, mostly where the structure is. */
function mutate(bytes: Uint8Array, rng: Rng): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (let n = 1 + rng.below(4); n > 0; n--) {
    const at = rng.below(Math.max(1, rng.below(2) === 0 ? Math.min(result.length, 600) : result.length));
    switch (rng.below(5)) {
      case 0:
        result[at] = rng.below(256);
        break;
      case 1:
        result[at] = (result[at] ?? 0) ^ (1 << rng.below(8));
        break;
      case 2:
        result = Uint8Array.from([...result.subarray(0, at), ...result.subarray(at + 1 + rng.below(16))]);
        break;
      case 3:
        result = Uint8Array.from([
          ...result.subarray(0, at),
          ...result.subarray(at, at + 1 + rng.below(32)),
          ...result.subarray(at),
        ]);
        break;
      default:
        result[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)]!;
    }
  }
  return result;
}

interface Outcome {
  readonly errors: number;
  readonly successes: number;
  /** Of the whole process. */
  readonly mostBytes: number;
}

const GIGABYTE = 1e9;

async function attack(
  seeds: readonly Uint8Array[],
  count: number,
  read: (bytes: Uint8Array) => unknown,
): Promise<Outcome> {
  const rng = new Rng(2026);
  let [errors, successes, mostBytes] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const bytes = mutate(seeds[i % seeds.length]!, rng);
    try {
      await read(bytes);
      successes++;
    } catch (error) {
      if (!(error instanceof BnnError)) {
        throw new Error(`mutation ${i} of file ${i % seeds.length}: ${(error as Error).stack}`, { cause: error });
      }
      errors++;
    }
    if (i % 50 === 0) mostBytes = Math.max(mostBytes, process.memoryUsage().rss);
  }
  return { errors, successes, mostBytes };
}

function sampleModels(): Uint8Array[] {
  const larq = new Source(['N', 6, 6, 4]);
  const signs = larq.op('Sign', [larq.op('Add', [larq.op('Sign', [larq.x]), larq.c(0.1)])]);
  const y = larq.op(
    'Conv',
    [larq.op('Transpose', [signs], { perm: ints([0, 3, 1, 2]) }), larq.c(larq.signs([3, 4, 2, 2], [0.5]))],
    {
      kernel_shape: ints([2, 2]),
    },
  );
  const flat = larq.op('Reshape', [larq.op('Transpose', [y], { perm: ints([0, 2, 3, 1]) }), larq.ints([-1, 75])]);
  const first = larq.finish(larq.op('MatMul', [flat, larq.c(larq.signs([75, 2]))]));
  const torch = new Source([1, 2, 4, 4], 11);
  const w = torch.c(torch.normals([3, 2, 3, 3]));
  const alpha = torch.op('ReduceMean', [torch.op('Abs', [w])], { axes: ints([1, 2, 3]), keepdims: int(1) });
  const padded = torch.op('Pad', [
    torch.op('Clip', [torch.x, torch.c(-1), torch.c(1)]),
    torch.ints([0, 0, 1, 1, 0, 0, 1, 1]),
  ]);
  const act = torch.op('Where', [torch.op('Greater', [padded, torch.c(0)]), torch.c(1), torch.c(-1)]);
  const second = torch.finish(
    torch.op('Conv', [act, torch.op('Mul', [torch.op('Sign', [w]), alpha])], { kernel_shape: ints([3, 3]) }),
  );
  const files = [first, second].map((model) => encodeModel(model));
  const qonnx = sharedPath('foreign/qonnx-one-layer.onnx');
  return existsSync(qonnx) ? [...files, readFileSync(qonnx)] : files;
}

describe('graphs that are made to take long', () => {
  const chain = (op: string, from: 'data' | 'weights', count: number) => {
    const s = new Source(['N', 8]);
    const w = s.c(s.normals([8, 8]));
    let y = from === 'data' ? s.op('Sign', [s.x]) : s.op('Sign', [w]);
    for (let i = 0; i < count; i++) y = op === 'Sign' ? s.op(op, [y]) : s.op(op, [y, y]);
    return s.finish(from === 'data' ? s.op('MatMul', [y, w]) : s.op('MatMul', [s.x, y]));
  };
  it.each([
    ['Sign', 'data', 2000],
    ['Add', 'data', 200],
    ['Mul', 'data', 200],
    ['Max', 'weights', 60],
    ['Mul', 'weights', 60],
    ['Sign', 'weights', 2000],
  ] as const)(
    '%s of %s, %i times',
    (op, from, count) => {
      expect(convertOnnx(chain(op, from, count)).model.graph.outputs).toHaveLength(1);
    },
    30_000,
  );
});

describe('random mutations', () => {
  it(`${MUTATIONS} of ONNX files`, async () => {
    const { errors, successes, mostBytes } = await attack(sampleModels(), MUTATIONS, (bytes) =>
      convertOnnx(decodeModel(bytes)),
    );
    expect(errors + successes).toBe(MUTATIONS);
    expect(successes).toBeGreaterThan(100);
    expect(mostBytes).toBeLessThan(GIGABYTE);
  }, 300_000);

  it(`${MUTATIONS} of PyTorch checkpoints`, async () => {
    const files = [torchZip({ deflate: false }), torchZip({ deflate: true }), torchLegacy()];
    const { errors, successes, mostBytes } = await attack(files, MUTATIONS, (bytes) => readPytorchCheckpoint(bytes));
    expect(errors + successes).toBe(MUTATIONS);
    expect(successes).toBeGreaterThan(100);
    expect(mostBytes).toBeLessThan(GIGABYTE);
  }, 300_000);

  it.skipIf(missingH5 !== undefined)(
    `${MUTATIONS} of Keras files${missingH5 === undefined ? '' : ` (skipped: ${missingH5})`}`,
    async () => {
      const tensors = {
        'model_weights/conv/conv/kernel:0': float32([3, 3, 2, 4], new Float32Array(72).fill(0.5)),
        'model_weights/conv/conv/bias:0': float32([4], [1, 2, 3, 4]),
        'top_level_model_weights/count:0': tensor('int64', [], BigInt64Array.of(7n)),
      };
      const files = [await h5File(tensors), await h5File(tensors, true)];
      const thread = new H5Thread();
      // How long one takes is for the thread to watch over.
      const { errors, successes, mostBytes } = await attack(files, MUTATIONS, async (bytes) => {
        const { tensors: found, names } = await thread.read(bytes);
        return fromKeras(found, names);
      });
      await thread.close();
      expect(errors + successes).toBe(MUTATIONS);
      expect(successes).toBeGreaterThan(100);
      expect(mostBytes).toBeLessThan(GIGABYTE);
    },
    600_000,
  );
});
