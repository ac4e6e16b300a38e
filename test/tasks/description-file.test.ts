import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Preprocessing, parsePreprocessing } from '../../src/core/pictures/preprocessing.ts';
import { descriptionFile, writeDescription } from '../../src/tasks/description-file.ts';
import { temporaryFolder } from '../data/temporary-folder.ts';

const ENTRY: Preprocessing = { dataset: 'x', picture: null, mean: [0], std: [1], classes: ['a', 'b'] };

it.each([
  ['net.onnx', 'net.json'],
  ['a.b/net.ONNX', 'a.b/net.json'],
  ['net', 'net.json'],
])('%s is described by %s', (model, file) => expect(descriptionFile(model)).toBe(file));

it('is written beside the model, and replaced by the next export', async () => {
  const model = join(await temporaryFolder(), 'net.onnx');
  const file = descriptionFile(model);
  expect(await writeDescription(model, ENTRY)).toEqual({ file });
  expect(parsePreprocessing(await readFile(file, 'utf8'))).toEqual(ENTRY);
  const other = { ...ENTRY, classes: ['c'] };
  expect(await writeDescription(model, other)).toEqual({ file });
  expect(parsePreprocessing(await readFile(file, 'utf8'))).toEqual(other);
  // A model that does not say has none.
  const { file: none, note } = await writeDescription(model, null);
  expect([none, note]).toEqual([null, expect.stringContaining('was removed')]);
  await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
});

it.each(['{"epochs": 3}', 'no JSON', ''])('leaves a file alone that is something else: %j', async (text) => {
  const model = join(await temporaryFolder(), 'net.onnx');
  await writeFile(descriptionFile(model), text);
  for (const entry of [ENTRY, null]) {
    const { file, note } = await writeDescription(model, entry);
    expect([file, note]).toEqual([null, expect.stringContaining('stays as it is')]);
    expect(await readFile(descriptionFile(model), 'utf8')).toBe(text);
  }
});

it('leaves a folder alone', async () => {
  const model = join(await temporaryFolder(), 'net.onnx');
  await mkdir(descriptionFile(model));
  expect((await writeDescription(model, ENTRY)).file).toBeNull();
});

it.skipIf(process.platform === 'win32')(
  'leaves a named pipe alone, and does not wait for who writes to it',
  async () => {
    const model = join(await temporaryFolder(), 'net.onnx');
    execFileSync('mkfifo', [descriptionFile(model)]);
    const { file, note } = await writeDescription(model, ENTRY);
    expect([file, note]).toEqual([null, expect.stringContaining('stays as it is')]);
  },
);
