import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { thisProcess } from '../../../src/core/files/process-identity-io.ts';
import { ABANDONED_MS, LOCK_FILE, withRunLock } from '../../../src/training/sessions/run-lock-io.ts';

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

const other = { token: '0', host: 'elsewhere' };

test.each([
  ['of a process that has ended', { ...other, ...thisProcess(), pid: 2 ** 22 + 1 }],
  ['of a process whose number is another one by now', { ...other, ...thisProcess(), start: '1' }],
  ['that was given back in a folder that was renamed', { ...other, ...thisProcess(), pid: 0 }],
])('a lock %s is taken over at once', async (what, lock) => {
  // Only Linux tells when a process started.
  if (lock.start === '1' && thisProcess().start === '') return;
  const out = join(folder, what);
  await mkdir(out);
  await writeFile(join(out, LOCK_FILE), JSON.stringify(lock));
  const mine = await withRunLock(out, async ({ check }) => {
    await check();
    return JSON.parse(await readFile(join(out, LOCK_FILE), 'utf8')) as object;
  });
  expect(mine).toMatchObject({ pid: process.pid });
  expect(await readdir(out)).toEqual([]);
});

test.each([
  ['of another machine', JSON.stringify({ ...other, scope: 'abcdef01', pid: process.pid, start: '1' })],
  ['that cannot be read', '{"pid":'],
])('a lock %s is taken over when it was not written for two minutes', async (what, text) => {
  const out = join(folder, what);
  await mkdir(out);
  const path = join(out, LOCK_FILE);
  await writeFile(path, text);
  const early = withRunLock(out, async () => {});
  await expect(early).rejects.toMatchObject({ code: 'E_USAGE', hint: expect.stringMatching(/free again in 1\d\d s/) });
  expect(await readFile(path, 'utf8')).toBe(text);
  const before = Date.now() / 1000 - ABANDONED_MS / 1000 - 1;
  await utimes(path, before, before);
  expect(await withRunLock(out, async () => 'taken')).toBe('taken');
  expect(await readdir(out)).toEqual([]);
});

test('whoever lost the folder is told before writing into it, and leaves the lock of the other alone', async () => {
  const out = join(folder, 'lost');
  const path = join(out, LOCK_FILE);
  const lost = withRunLock(out, async ({ check }) => {
    await rm(path);
    await writeFile(path, JSON.stringify({ ...other, ...thisProcess() }));
    await check();
  });
  await expect(lost).rejects.toMatchObject({ code: 'E_IO', message: expect.stringContaining('taken over') });
  expect(await readdir(out)).toEqual([LOCK_FILE]);
});
