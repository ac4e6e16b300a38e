import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
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

it('refuses fields of checkpoints for an ONNX file', async () => {
  await expect(convertFile(source, { network: 'resnet20' })).rejects.toMatchObject({ code: 'E_USAGE', at: source });
});
