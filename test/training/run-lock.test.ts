import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withRunLock } from '../../src/training/run-lock-io.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-lock-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('a folder is held once, whatever it is called, and free again afterwards', async () => {
  await symlink(folder, join(folder, 'link'));
  const out = join(folder, 'run');
  const names = [out, `${out}/`, relative('.', out), join(folder, 'link', 'run')];
  await withRunLock(out, async () => {
    for (const name of names) {
      await expect(withRunLock(name, async () => {})).rejects.toMatchObject({ code: 'E_USAGE', at: name });
    }
    expect(await withRunLock(join(folder, 'other'), async () => 'free')).toBe('free');
  });
  for (const name of names) expect(await withRunLock(name, async () => 'free')).toBe('free');
  expect(await readdir(folder)).toEqual(['link']);
});

test('a failure frees the folder', async () => {
  const out = join(folder, 'fails');
  await expect(withRunLock(out, () => Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  expect(await withRunLock(out, async () => 'free')).toBe('free');
});
