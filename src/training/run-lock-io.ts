/** Keeps two trainings out of one run folder: they would overwrite each other's checkpoints and mix their histories. */

import { createHash } from 'node:crypto';
import { realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { BnnError, systemErrorCode } from '../errors.ts';

/**
 * Runs `work` while no other training on this machine has the folder.
 *
 * The lock is a socket that listens under a name made from the folder. The system frees it with the process, however that ends, so
 * a killed run leaves nothing that has to be cleaned up before it is resumed. Machines that share a disk do not see each other.
 *
 * @throws {BnnError} E_USAGE when the folder is held.
 */
export async function withRunLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const lock = await acquire(await canonical(folder));
  if (lock === 'held') {
    throw new BnnError('E_USAGE', 'another training is using this folder', {
      at: folder,
      hint: 'wait until it has ended or stop it with Ctrl-C, or choose another --out',
    });
  }
  try {
    return await work();
  } finally {
    lock?.close();
  }
}

/** One name for a folder, by whatever links or relative path it is given; it need not exist yet. */
async function canonical(folder: string): Promise<string> {
  const path = resolve(folder);
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await canonical(parent), basename(path));
  }
}

/** Null where the system offers no such socket: the run goes on without a lock. */
async function acquire(folder: string): Promise<Server | 'held' | null> {
  const name = `bnn-run-${createHash('sha256').update(folder).digest('hex').slice(0, 32)}`;
  // Linux has names outside the file system, Windows pipes; both vanish with the process.
  if (process.platform === 'linux') return listen(`\0${name}`);
  if (process.platform === 'win32') return listen(`\\\\.\\pipe\\${name}`);
  const path = join(tmpdir(), `${name}.sock`);
  const first = await listen(path);
  if (first !== 'held' || (await isAnswered(path))) return first;
  // Left by a process that was killed.
  await rm(path, { force: true });
  return listen(path);
}

function listen(path: string): Promise<Server | 'held' | null> {
  return new Promise((settle) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error) => settle(systemErrorCode(error) === 'EADDRINUSE' ? 'held' : null));
    server.listen(path, () => settle(server.unref()));
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect(path);
    const answer = (isThere: boolean): void => {
      socket.destroy();
      settle(isThere);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
