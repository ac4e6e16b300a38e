import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  makeFolder,
  recoverFolder,
  writeFileAtomic,
  writeFolderAtomic,
} from '../../../src/core/files/atomic-file-io.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bnn-atomic-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('writeFileAtomic', () => {
  it('creates folders, replaces files and leaves nothing else behind', async () => {
    const path = join(folder, 'a/b.txt');
    await writeFileAtomic(path, 'one');
    await writeFileAtomic(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(readdirSync(join(folder, 'a'))).toEqual(['b.txt']);
  });

  it('names the path when the place cannot be written, and leaves nothing behind', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(writeFileAtomic(join(folder, 'file/x'), 'one')).rejects.toMatchObject({ at: join(folder, 'file/x') });
    await expect(writeFileAtomic('/dev/full/x', 'one')).rejects.toMatchObject({ name: 'BnnError' });
    mkdirSync(join(folder, 'taken/x'), { recursive: true });
    await expect(writeFileAtomic(join(folder, 'taken'), 'one')).rejects.toMatchObject({ code: 'E_IO' });
    expect(readdirSync(folder).sort()).toEqual(['file', 'taken']);
  });
});

it('folders that several make at once are there for all of them, and one of these made the topmost', async () => {
  for (let round = 0; round < 200; round++) {
    const top = join(folder, `top ${round}`);
    const paths = Array.from({ length: 8 }, (_, i) => join(top, 'a', 'b', i % 2 === 0 ? 'shared' : `own ${i}`));
    const created = await Promise.all(paths.map((path) => makeFolder(path)));
    expect(paths.every((path) => statSync(path).isDirectory())).toBe(true);
    expect(created).toContain(top);
  }
});

it('a folder below what is no folder, or where none can be made, is an error', async () => {
  writeFileSync(join(folder, 'file'), '');
  await expect(makeFolder(join(folder, 'file', 'a', 'b'))).rejects.toThrow('ENOTDIR');
  if (process.platform === 'linux') await expect(makeFolder('/proc/none/a')).rejects.toThrow('ENOENT');
});

describe('writeFolderAtomic', () => {
  it('replaces a folder as a whole', async () => {
    const path = join(folder, 'last');
    await writeFolderAtomic(path, { a: '1', b: '2' });
    await writeFolderAtomic(path, { a: '3' });
    expect(readdirSync(path)).toEqual(['a']);
    expect(readdirSync(folder)).toEqual(['last']);
  });

  it('keeps the old folder when a file cannot be written', async () => {
    const path = join(folder, 'last');
    await writeFolderAtomic(path, { a: '1' });
    await expect(writeFolderAtomic(path, { 'missing/a': '2' })).rejects.toMatchObject({ name: 'BnnError' });
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('1');
    expect(readdirSync(folder)).toEqual(['last']);
  });

  it('is put right after a kill between the two renames', async () => {
    const path = join(folder, 'last');
    await writeFolderAtomic(path, { a: '1' });
    renameSync(path, `${path}.old`);
    await recoverFolder(path);
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('1');
  });

  it('drops the old folder after a kill before its removal', async () => {
    const path = join(folder, 'last');
    await writeFolderAtomic(path, { a: 'new' });
    mkdirSync(`${path}.old`);
    writeFileSync(join(`${path}.old`, 'a'), 'old');
    await recoverFolder(path);
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('new');
    expect(existsSync(`${path}.old`)).toBe(false);
    await recoverFolder(join(folder, 'absent'));
  });
});
