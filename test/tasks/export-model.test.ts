import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findModel } from '../../src/inference/model-source-io.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { readModel, writeModel } from '../../src/onnx/model-io.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { exportModel } from '../../src/tasks/export-model.ts';
import { inspectFile } from '../../src/tasks/inspect-file.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-export-model-'));
const source = join(folder, 'latent.onnx');
beforeAll(async () => {
  const model = buildModel('binarynet-mini', { seed: 1 });
  addBnnFunctions(model);
  await writeModel(source, model);
});
afterAll(() => rmSync(folder, { recursive: true }));

it('gives the file and what is in it, and writes nothing', async () => {
  const exported = await exportModel(source, { verify: true, keepFloat: ['conv3'] });
  expect(exported).toMatchObject({ source, form: 'packed', int8: null, isDifferent: false, memory: undefined });
  expect(exported.verification).toMatchObject({ passed: true, agreement: 1 });
  expect(exported.packedBytes).toBe(exported.bytes.length);
  expect(exported.bytes.length).toBeLessThan(exported.float32Bytes);
  const operators = [...decodeModel(exported.bytes).graph.nodes()].map(({ type }) => type);
  expect(operators.filter((type) => type.startsWith('bnn.Binary'))).toHaveLength(exported.report.binaryLayers);
  expect(exported.report.layers.find(({ name }) => name === 'conv3')?.outcome).toBe('float');
  expect(readdirSync(folder)).toEqual(['latent.onnx']);
});

it('takes what findModel found, and tells the size of the packed form of a latent one', async () => {
  const [packed, latent] = await Promise.all([
    exportModel(await findModel(source)),
    exportModel(source, { form: 'latent' }),
  ]);
  expect(packed.verification).toBeNull();
  // A file that is written names the version that wrote it.
  const difference = (a: number, b: number) => Math.abs(a - b);
  expect(difference(latent.bytes.length, latent.float32Bytes)).toBeLessThan(20);
  expect(difference(latent.packedBytes, packed.bytes.length)).toBeLessThan(20);
});

it('refuses what is packed already', async () => {
  const path = join(folder, 'packed.onnx');
  await writeModel(path, decodeModel((await exportModel(source)).bytes));
  await expect(exportModel(path)).rejects.toMatchObject({ code: 'E_UNSUPPORTED', at: path });
  const inspection = await inspectFile(path);
  expect(inspection).toMatchObject({ kind: 'onnx', form: 'packed', file: path });
  expect((await readModel(path)).graph.name).toBe('binarynet-mini');
});
