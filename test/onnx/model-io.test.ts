import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onnx } from 'onnx-proto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BnnError } from '../../src/errors.ts';
import { readModel, readSizedModel, writeModel } from '../../src/onnx/model-io.ts';
import { digestOfFile } from '../../src/training/start/file-digest-io.ts';
import { describeModel } from './describe-model.ts';
import { functionModel } from './sample-models.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-model-io-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function rejection(promise: Promise<unknown>): Promise<BnnError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'BnnError' });
  return error as BnnError;
}

/** Writes `<folder>/model/m.onnx` with one f32[3] constant whose data lie elsewhere. */
async function writeExternal(entries: Record<string, string>, dims = [3], copies = 1): Promise<string> {
  const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
  const initializer = Array.from({ length: copies }, (_, i) => ({
    name: i === 0 ? 'w' : `w${i}`,
    dims,
    dataType: 1,
    dataLocation: 1,
    externalData,
  }));
  const message = { irVersion: 8, opsetImport: [{ version: 17 }], graph: { name: 'g', initializer } };
  await mkdir(join(folder, 'model', 'data'), { recursive: true });
  const path = join(folder, 'model', 'm.onnx');
  await writeFile(path, onnx.ModelProto.encode(onnx.ModelProto.fromObject(message)).finish());
  return path;
}

async function writePlain(): Promise<string> {
  const path = join(folder, 'plain.onnx');
  await writeModel(path, functionModel());
  return path;
}

const FLOATS = new Uint8Array(Float32Array.of(9, 1, 2, 3).buffer);
const weights = async (path: string) => (await readModel(path)).graph.values.get('w')?.constant?.data;

describe('writeModel and readModel', () => {
  test('round trip, leaving no other file', async () => {
    const path = join(folder, 'new', 'model.onnx');
    await writeModel(path, functionModel());
    expect(describeModel(await readModel(path))).toEqual(describeModel(functionModel()));
    expect(await readdir(join(folder, 'new'))).toEqual(['model.onnx']);
  });

  test('a missing file, a folder, a pipe, an empty file', async () => {
    expect(await rejection(readModel(join(folder, 'none.onnx')))).toMatchObject({
      code: 'E_NOT_FOUND',
      at: join(folder, 'none.onnx'),
    });
    expect((await rejection(readModel(folder))).code).toBe('E_IO');
    if (process.platform !== 'win32') {
      execFileSync('mkfifo', [join(folder, 'pipe')]);
      expect((await rejection(readModel(join(folder, 'pipe')))).code).toBe('E_IO');
    }
    await writeFile(join(folder, 'empty.onnx'), '');
    expect((await rejection(readModel(join(folder, 'empty.onnx')))).code).toBe('E_FORMAT');
  });

  test('a place that cannot be written', async () => {
    await writeFile(join(folder, 'file'), '');
    const path = join(folder, 'file', 'model.onnx');
    expect((await rejection(writeModel(path, functionModel()))).at).toBe(path);
  });
});

describe('external data', () => {
  test('count as part of the file, each file once', async () => {
    const path = await writeExternal({ location: 'w.bin' });
    await writeFile(join(folder, 'model', 'w.bin'), FLOATS.subarray(4));
    expect((await readSizedModel(path)).fileBytes).toBe((await stat(path)).size + 12);
    expect((await readSizedModel(await writePlain())).fileBytes).toBe((await stat(await writePlain())).size);
  });

  test('shared by a thousand tensors are refused before they take the memory of a thousand', async () => {
    const path = await writeExternal({ location: 'w.bin' }, [3], 1000);
    await writeFile(join(folder, 'model', 'w.bin'), FLOATS.subarray(4));
    expect(await rejection(readModel(path))).toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringContaining('times its 12 bytes'),
    });
    expect((await readModel(await writeExternal({ location: 'w.bin' }, [3], 10))).graph.values.size).toBe(10);
  });

  test('with offset and length, in a folder below, and without either', async () => {
    const path = await writeExternal({ location: 'data/w.bin', offset: '4', length: '12' });
    await writeFile(join(folder, 'model', 'data', 'w.bin'), FLOATS);
    expect(await weights(path)).toEqual(Float32Array.of(1, 2, 3));
    await writeExternal({ location: './data/w.bin' });
    expect(await weights(path)).toEqual(Float32Array.of(9, 1, 2));
  });

  test('through a symbolic link that stays inside', async () => {
    const path = await writeExternal({ location: 'link.bin' });
    await writeFile(join(folder, 'model', 'data', 'w.bin'), FLOATS);
    await symlink(join('data', 'w.bin'), join(folder, 'model', 'link.bin'));
    expect(await weights(path)).toEqual(Float32Array.of(9, 1, 2));
  });

  test.each([
    ['parent folder', '../secret.bin', 'leads out'],
    ['parent folder in the middle', 'data/../../secret.bin', 'leads out'],
    ['parent folder as Windows writes it', '..\\secret.bin', 'leads out'],
    ['absolute path', '/etc/passwd', 'absolute'],
    ['absolute path as Windows writes it', 'C:\\secret.bin', 'absolute'],
    ['drive letter', 'C:secret.bin', 'absolute'],
    ['NUL character', 'a\0b', 'NUL'],
    ['link to a file outside', 'link.bin', 'link'],
    ['link to a folder outside', 'linked/secret.bin', 'link'],
  ])('%s: refused', async (_, location, message) => {
    const path = await writeExternal({ location });
    await writeFile(join(folder, 'secret.bin'), FLOATS);
    await symlink(join(folder, 'secret.bin'), join(folder, 'model', 'link.bin'));
    await symlink(folder, join(folder, 'model', 'linked'));
    const error = await rejection(readModel(path));
    expect(error.code).toBe('E_FORMAT');
    expect(error.message).toContain(message);
    expect(error.at).toContain(location);
    expect(error.at).toContain(path);
  });

  test('belongs to the digest by which a run knows the file that it was given', async () => {
    const path = await writeExternal({ location: 'w.bin' });
    const weights = join(folder, 'model', 'w.bin');
    await writeFile(weights, FLOATS);
    const bytes = [await readFile(path), FLOATS];
    const digest = await digestOfFile('teacher', path, '');
    expect(digest).toBe(createHash('sha256').update(Buffer.concat(bytes)).digest('hex'));
    await writeFile(weights, new Uint8Array(FLOATS.length));
    const other = createHash('sha256').update(bytes[0]!).update(new Uint8Array(FLOATS.length)).digest('hex');
    expect((await rejection(digestOfFile('teacher', path, digest))).message).toContain(other);
  });

  test('a folder beside the model whose name starts alike is outside', async () => {
    const path = await writeExternal({ location: 'link.bin' });
    await mkdir(join(folder, 'model-2'));
    await writeFile(join(folder, 'model-2', 'w.bin'), FLOATS);
    await symlink(join(folder, 'model-2', 'w.bin'), join(folder, 'model', 'link.bin'));
    expect((await rejection(readModel(path))).message).toContain('link');
  });

  test.each<[string, Record<string, string>, number[], string, string]>([
    ['missing file', { location: 'none.bin' }, [3], 'E_NOT_FOUND', 'none.bin'],
    ['no location', {}, [3], 'E_FORMAT', 'location is missing'],
    ['beyond the end', { location: 'w.bin', offset: '8' }, [3], 'E_FORMAT', 'bytes 8 to 20'],
    ['far beyond the end', { location: 'w.bin' }, [2 ** 40], 'E_FORMAT', 'the file has 16'],
    ['other length', { location: 'w.bin', length: '8' }, [3], 'E_FORMAT', 'needs 12 bytes but 8'],
    ['negative offset', { location: 'w.bin', offset: '-4' }, [3], 'E_FORMAT', 'offset "-4"'],
    ['offset beyond all files', { location: 'w.bin', offset: '99999999999999999999' }, [3], 'E_FORMAT', 'offset'],
    ['folder', { location: 'data' }, [3], 'E_FORMAT', 'regular file'],
    ['the folder itself', { location: '.' }, [3], 'E_FORMAT', 'link'],
  ])('%s: refused', async (_, entries, dims, code, message) => {
    const path = await writeExternal(entries, dims);
    await writeFile(join(folder, 'model', 'w.bin'), FLOATS);
    const error = await rejection(readModel(path));
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.at}`).toContain(message);
  });
});
