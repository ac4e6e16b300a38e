import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRegularFile, readRegularFile } from '../../../src/core/files/regular-file-io.ts';
import { temporaryFolder } from '../../data/temporary-folder.ts';

test('the bytes of a file, also through a link', async () => {
  const dir = await temporaryFolder();
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7);
  await writeFile(join(dir, 'a'), bytes);
  await symlink(join(dir, 'a'), join(dir, 'link'));
  await writeFile(join(dir, 'empty'), '');
  expect(Buffer.compare(await readRegularFile(join(dir, 'link')), bytes)).toBe(0);
  expect(await readRegularFile(join(dir, 'empty'))).toHaveLength(0);
  await expect(readRegularFile(join(dir, 'a'), { mostBytes: 99_999 })).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: join(dir, 'a'),
    message: 'a file of 100000 bytes, at most 99999 are read',
  });
});

test('a pipe without a writer, a device, a folder and nothing: refused at once, by name', async () => {
  const dir = await temporaryFolder();
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  await symlink('/dev/zero', join(dir, 'zero'));
  await mkdir(join(dir, 'folder'));
  for (const [name, code, message] of [
    ['pipe', 'E_IO', 'this is a named pipe, expected a regular file'],
    ['zero', 'E_IO', 'this is a character device, expected a regular file'],
    ['folder', 'E_IO', 'this is a folder (EISDIR)'],
    ['absent', 'E_NOT_FOUND', 'there is no such file or folder (ENOENT)'],
  ] as const) {
    const path = join(dir, name);
    for (const open of [openRegularFile, readRegularFile]) {
      await expect(open(path)).rejects.toMatchObject({
        name: 'BnnError',
        code,
        at: path,
        message: expect.stringContaining(message),
      });
    }
  }
});
