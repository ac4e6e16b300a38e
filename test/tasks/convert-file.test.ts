import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { int } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { convertFile } from '../../src/tasks/convert-file.ts';
import { Source } from '../convert/build.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-convert-file-'));
const source = join(folder, 'net.onnx');
/** A sign of the standard, which gives 0 at 0, in front of binary weights; and a float layer. */
beforeAll(async () => {
  const s = new Source(['n', 32]);
  const hidden = s.op('MatMul', [s.x, s.c(s.normals([32, 24]))]);
  const y = s.op('MatMul', [s.op('Sign', [hidden]), s.op('Sign', [s.c(s.normals([24, 10]))])]);
  await writeModel(source, s.finish(y));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('gives both forms as files, compared with the source where that is asked for', async () => {
  const plain = await convertFile(source);
  expect(plain).toMatchObject({ verification: null, whatIf: null, binarized: null, isDifferent: false, notes: [] });
  expect(plain.memory).toBeUndefined();
  const signs = (bytes: Uint8Array) => [...decodeModel(bytes).graph.nodes()].filter(({ op }) => op === 'Sign').length;
  expect(signs(plain.files.latent)).toBeGreaterThan(0);

  const checked = await convertFile(source, { signZero: 'plus', verify: true, whatIf: true, limit: 48 });
  expect(checked.verification).toMatchObject({ inputs: 48, from: 'random inputs, normalized' });
  expect(checked.verification?.agreements.map(({ name }) => name)).toEqual(['latent', 'packed']);
  expect(checked.isDifferent).toBe(false);
  expect(checked.whatIf?.agreements.map(({ name }) => name)).toEqual(['plus at 0', 'minus at 0', 'zero at 0']);
  expect(checked.report.layers.map(({ kind }) => kind)).toEqual(['float', 'binary']);
  expect(checked.files.packed).not.toEqual(plain.files.packed);
  expect(readdirSync(folder)).toEqual(['net.onnx']);
});

/** Signs of sums of `count` signs, 0 where these cancel, which `plus` makes 1: other numbers, told apart by the source's own `Sign`. */
async function cancelling(
  name: string,
  [count, sums]: readonly [number, number],
  end: (s: Source, y: Value) => Model,
): Promise<string> {
  const path = join(folder, name);
  const s = new Source(['n', count]);
  const hidden = s.op('MatMul', [s.op('Sign', [s.x]), s.c(s.signs([count, sums]))]);
  await writeModel(path, end(s, s.op('MatMul', [s.op('Sign', [hidden]), s.c(s.signs([sums, 4]))])));
  return path;
}

it('numbers that differ are found where the decision stays', async () => {
  const shifted = float32([4], [90, 0, 0, 0]);
  const path = await cancelling('shifted.onnx', [24, 8], (s, y) => s.finish(s.op('Add', [y, s.c(shifted)])));
  const same = await convertFile(path, { verify: true });
  expect(same.isDifferent).toBe(false);
  const { isDifferent, verification } = await convertFile(path, { signZero: 'plus', verify: true });
  expect(verification!.agreements.map(({ changed }) => changed)).toEqual([0, 0]);
  // Of 8 sums of 24 signs one is 0 in 3 of 4 inputs: C(24, 12) / 2^24 = 0.16.
  for (const { beyond, maxDifference } of verification!.agreements) {
    expect(beyond).toBeGreaterThan(32);
    expect(maxDifference).toBeGreaterThanOrEqual(1);
  }
  expect(isDifferent).toBe(true);
});

it('few inputs may differ by a sign, of integers none', async () => {
  // One of 8 sums of 4,000 signs is 0 in a tenth of the inputs: C(4000, 2000) / 2^4000 = 0.0126.
  const shifted = float32([4], [90, 0, 0, 0]);
  const floats = await cancelling('rare.onnx', [4000, 8], (s, y) => s.finish(s.op('Add', [y, s.c(shifted)])));
  const few = await convertFile(floats, { signZero: 'plus', verify: true });
  expect(few.verification!.agreements[0]!.beyond).toBeGreaterThan(0);
  expect(few.isDifferent).toBe(false);

  const integers = await cancelling('integers.onnx', [4000, 1], (s, y) => {
    const whole = s.op('Cast', [y], { to: int(7) });
    s.builder.output(whole, 'int64', ['n', 4]);
    return s.builder.model;
  });
  const options = { signZero: 'plus', verify: true, limit: 150 } as const;
  const { verification, isDifferent } = await convertFile(integers, options);
  const { otherIntegers } = verification!.agreements[0]!;
  expect(otherIntegers).toBeGreaterThan(0);
  expect(otherIntegers).toBeLessThan(0.02 * 150);
  expect(isDifferent).toBe(true);
});

it('refuses fields of checkpoints for an ONNX file', async () => {
  await expect(convertFile(source, { network: 'resnet20' })).rejects.toMatchObject({ code: 'E_USAGE', at: source });
});
