/** A limit of processes (`ulimit -u`, the pids limit of a container) that leaves no further thread: fewer threads, the same results. */

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { isOutOfThreads } from '../../../src/core/machine/scarce-threads.ts';
import { missingAddon } from '../../inference/native-parts.ts';

const PROGRAM = fileURLToPath(new URL('without-threads.mjs', import.meta.url));
/** The limit does not hold for root. */
const USER = process.getuid?.() === 0 ? { uid: 54321, gid: 54321 } : {};

function run(mode: 'limited' | 'free') {
  const folder = mkdtempSync(join(tmpdir(), 'bnn-threads-'));
  chmodSync(folder, 0o777);
  try {
    const env = { PATH: process.env['PATH'], HOME: folder, TMPDIR: folder };
    return spawnSync(process.execPath, ['--import', 'tsx', PROGRAM, mode], { encoding: 'utf8', env, ...USER });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function findMissing(): string | undefined {
  const native = loadNativeAddon();
  if (!native.ok) return native.reason;
  if (missingAddon !== undefined) return missingAddon;
  if (spawnSync('prlimit', ['--version']).status !== 0) return 'no prlimit here';
  // As root another user runs the program, who must be able to read it.
  const readable = spawnSync(process.execPath, ['-e', `require('fs').readFileSync(process.argv[1])`, PROGRAM], USER);
  return readable.status === 0 ? undefined : 'another user cannot read this folder';
}

const missing = findMissing();

describe.skipIf(missing !== undefined)(`no threads left${missing ? ` (skipped: ${missing})` : ''}`, () => {
  test('everything works with the threads that there are, says so once, and to the same bits', {
    timeout: 120_000,
  }, () => {
    const [limited, free] = (['limited', 'free'] as const).map((mode) => {
      const { status, stdout, stderr } = run(mode);
      expect(status, stderr).toBe(0);
      return JSON.parse(stdout);
    });
    expect(free).toMatchObject({ batches: 4, warnings: [] });
    expect(free.description).toMatch(/3 threads/);
    expect(free.answers).toEqual([expect.stringMatching(/^E_FORMAT|^E_NOT_FOUND/), 'nothing']);

    expect(limited.description).toMatch(/^native \w+, 1 thread instead of 3: the system allows no more/);
    expect(limited.gradient).toEqual(free.gradient);
    for (const logits of limited.sessions) expect(logits).toEqual(limited.expected);
    expect(limited.batches).toBe(4);
    expect(limited.answers).toEqual([
      'E_BACKEND: h5-worker needs a thread, and the system starts no more',
      'E_BACKEND: decoding pictures needs a thread, and the system starts no more',
    ]);
    const said = (text: RegExp) => limited.warnings.filter((warning: string) => text.test(warning)).length;
    expect(said(/onnxruntime runs on 1 of \d+ threads/)).toBeGreaterThan(0);
    expect(said(/batches are made ahead by 0 of 2 threads/)).toBe(1);
    expect(new Set(limited.warnings).size).toBe(limited.warnings.length);
  });
});

test('errors that say so are known', () => {
  expect(isOutOfThreads(Object.assign(new Error('x'), { code: 'ERR_WORKER_INIT_FAILED' }))).toBe(true);
  expect(isOutOfThreads(new Error('PosixThread(…) pthread_create failed, error code: 11'))).toBe(true);
  expect(isOutOfThreads(new Error('glib: Error creating thread: Resource temporarily unavailable'))).toBe(true);
  expect(isOutOfThreads(new Error('unsupported image format'))).toBe(false);
  expect(isOutOfThreads('EAGAIN')).toBe(false);
});
