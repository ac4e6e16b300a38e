import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recoverFolder, writeFileAtomic, writeFolderAtomic } from '../../../src/core/files/atomic-file-io.ts';
import { withRunLock } from '../../../src/training/sessions/run-lock-io.ts';

/** What other systems answer, put in the place of what this one does. */

type Files = typeof promises;
type Refusal = (call: 'rename' | 'open' | 'rm', path: string, count: number) => string | undefined;
const system = vi.hoisted(() => ({
  refuse: undefined as Refusal | undefined,
  /** Of open files. */
  paths: new Map<number, string>(),
  counts: new Map<string, number>(),
  flushed: [] as string[],
}));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  const fsync = (fd: number, done: (error: Error | null) => void): void => {
    system.flushed.push(system.paths.get(fd) ?? '');
    real.fsync(fd, done);
  };
  return { ...real, fsync };
});

/** Handles are like those of Yarn's Plug'n'Play, whose `sync` throws. */
vi.mock('node:fs/promises', async (original) => {
  const real = await original<Files>();
  const asked = (call: 'rename' | 'open' | 'rm', path: unknown): void => {
    const key = `${call} ${String(path)}`;
    const count = (system.counts.get(key) ?? 0) + 1;
    system.counts.set(key, count);
    const code = system.refuse?.(call, String(path), count);
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${call}`), { code });
  };
  return {
    ...real,
    rename: async (from: string, to: string) => {
      asked('rename', from);
      await real.rename(from, to);
    },
    rm: async (path: string, options?: object) => {
      asked('rm', path);
      await real.rm(path, options);
    },
    open: async (path: string, flags?: string) => {
      asked('open', path);
      const handle = await real.open(path, flags);
      system.paths.set(handle.fd, path);
      const value = () => Promise.reject(new Error('Method not implemented.'));
      Object.defineProperty(handle, 'sync', { value });
      return handle;
    },
  };
});

const { platform } = process;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bnn-durable-'));
  system.counts.clear();
  system.flushed.length = 0;
});
afterEach(() => {
  system.refuse = undefined;
  Object.defineProperty(process, 'platform', { value: platform });
  rmSync(folder, { recursive: true, force: true });
});
const onWindows = () => Object.defineProperty(process, 'platform', { value: 'win32' });

function makeFolder(name: string, text: string): string {
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'a'), text);
  return join(folder, name);
}

describe('last.old beside last', () => {
  // Linux: ENOTEMPTY. Windows: EPERM.
  it.each(['ENOTEMPTY', 'EPERM', 'EACCES'])('is removed where the system says %s', async (code) => {
    const path = makeFolder('last', 'new');
    makeFolder('last.old', 'old');
    system.refuse = (call, from) => (call === 'rename' && from.endsWith('.old') ? code : undefined);
    await recoverFolder(path);
    expect(readdirSync(folder)).toEqual(['last']);
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('new');
  });

  it('is kept, with an error, where it can not be put back and there is no last', async () => {
    makeFolder('last.old', 'old');
    system.refuse = (call) => (call === 'rename' ? 'EPERM' : undefined);
    await expect(recoverFolder(join(folder, 'last'))).rejects.toMatchObject({ code: 'E_IO', at: join(folder, 'last') });
    expect(readdirSync(folder)).toEqual(['last.old']);
  });
});

describe('a file that is open elsewhere', () => {
  it('is replaced once Windows lets it', async () => {
    onWindows();
    writeFileSync(join(folder, 'a'), 'old');
    system.refuse = (call, _, count) =>
      call === 'rename' && count <= 3 ? ['EPERM', 'EACCES', 'EBUSY'][count - 1] : undefined;
    await writeFileAtomic(join(folder, 'a'), 'new');
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('new');
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('is an error at once on other systems, where waiting does not help', async () => {
    writeFileSync(join(folder, 'a'), 'old');
    system.refuse = (call) => (call === 'rename' ? 'EPERM' : undefined);
    await expect(writeFileAtomic(join(folder, 'a'), 'new')).rejects.toMatchObject({ code: 'E_IO' });
    expect([...system.counts].filter(([key]) => key.startsWith('rename'))).toEqual([[expect.any(String), 1]]);
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old');
  });

  it('a checkpoint is replaced as well', async () => {
    onWindows();
    const path = makeFolder('last', 'old');
    system.refuse = (call, _, count) => (call === 'rename' && count <= 2 ? 'EPERM' : undefined);
    await writeFolderAtomic(path, { a: 'new' });
    expect(readFileSync(join(path, 'a'), 'utf8')).toBe('new');
    expect(readdirSync(folder)).toEqual(['last']);
  });
});

describe('flushing', () => {
  it('a checkpoint: its files, then its folder, then the folder that it appears in', async () => {
    await writeFolderAtomic(join(folder, 'last'), { a: '1', b: '2' });
    const names = system.flushed.map((path) => path.slice(folder.length).replace(/\.tmp-[^/]*/, '.tmp'));
    expect(names).toEqual(['/last.tmp/a', '/last.tmp/b', '/last.tmp', '']);
  });

  it.each(['EPERM', 'EISDIR', 'EINVAL'])('folders are left to the system where it answers %s', async (code) => {
    system.refuse = (call, path) => (call === 'open' && path === folder ? code : undefined);
    await writeFileAtomic(join(folder, 'a'), 'text');
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('text');
  });

  it('a failing disk is an error', async () => {
    system.refuse = (call, path) => (call === 'open' && path === folder ? 'EIO' : undefined);
    await expect(writeFileAtomic(join(folder, 'a'), 'text')).rejects.toMatchObject({ code: 'E_IO' });
  });
});

it('a lock of a process that ended is taken over where Windows has it open for a moment', async () => {
  onWindows();
  const gone = { scope: 'x', pid: 1, start: '', token: 'gone', host: 'h' };
  await withRunLock(join(folder, 'run'), async () => {
    const { scope } = JSON.parse(readFileSync(join(folder, 'run/lock.json'), 'utf8')) as { scope: string };
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other/lock.json'), JSON.stringify({ ...gone, scope, pid: 2 ** 30 }));
  });
  system.refuse = (call, _, count) => (call === 'rename' && count === 1 ? 'EBUSY' : undefined);
  expect(await withRunLock(join(folder, 'other'), async () => 'done')).toBe('done');
  expect(system.counts.get(`rename ${join(folder, 'other/lock.json')}`)).toBe(2);
});
