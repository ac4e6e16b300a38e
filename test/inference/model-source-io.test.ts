import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findModel } from '../../src/inference/model-source-io.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bnn-source-'));
  for (const [run, validation] of [
    ['plain', 0],
    ['held-out', 100],
  ] as const) {
    for (const name of ['last', 'best']) {
      await mkdir(join(root, run, name), { recursive: true });
      await writeFile(join(root, run, name, 'model.onnx'), '');
    }
    await writeFile(join(root, run, 'recipe.json'), JSON.stringify({ validation }));
  }
  await mkdir(join(root, 'killed', 'last.old'), { recursive: true });
  await writeFile(join(root, 'killed', 'last.old', 'model.onnx'), '');
  await mkdir(join(root, 'empty'));
});
afterAll(() => rm(root, { recursive: true }));

test.each([
  ['plain', undefined, 'plain/last/model.onnx', 'last'],
  ['plain', 'best', 'plain/best/model.onnx', 'best'],
  ['held-out', undefined, 'held-out/best/model.onnx', 'best'],
  ['held-out', 'last', 'held-out/last/model.onnx', 'last'],
  ['plain/best', undefined, 'plain/best/model.onnx', null],
  ['plain/best/model.onnx', undefined, 'plain/best/model.onnx', null],
  ['killed', undefined, 'killed/last.old/model.onnx', 'last'],
] as const)('%s, %s -> %s', async (source, asked, path, checkpoint) => {
  expect(await findModel(join(root, source), asked)).toMatchObject({ path: join(root, path), checkpoint });
});

test('what cannot be found', async () => {
  await expect(findModel(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  await expect(findModel(join(root, 'empty'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  await expect(findModel(join(root, 'killed'), 'best')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  await expect(findModel(join(root, 'plain/best/model.onnx'), 'best')).rejects.toMatchObject({ code: 'E_USAGE' });
});
