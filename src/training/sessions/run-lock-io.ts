/** Keeps two trainings out of one run folder: they would overwrite each other's checkpoints and mix their histories. */

import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { makeFolder } from '../../core/files/atomic-file-io.ts';
import { renamePatiently } from '../../core/files/durable-io.ts';
import { isAlive, type ProcessIdentity, thisProcess } from '../../core/files/process-identity-io.ts';
import { temporaryName } from '../../core/files/temporary-name-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';

export const LOCK_FILE = 'lock.json';

/** How often the holder writes its lock again. */
const BEAT_MS = 10_000;
/** A lock of another machine or container counts as abandoned when it was not written for so long. */
export const ABANDONED_MS = 120_000;

interface Holder extends ProcessIdentity {
  /** Of this lock, no other one. */
  readonly token: string;
  /** For people. */
  readonly host: string;
}

export interface RunLock {
  /**
   * Makes sure that the folder is still this training's, before something is written into it.
   *
   * @throws {BnnError} E_IO when it was deleted or renamed, or another training has it.
   */
  check(): Promise<void>;
}

/**
 * Runs `work` while no other training has the folder, which is created when missing, and deleted again when `work` left it empty.
 *
 * The lock is a file in the folder, so whoever sees the folder sees the lock: through links, bind mounts, from other containers and
 * from machines that share the disk. It names the process that holds it. On the same machine, a lock whose process is gone is taken
 * over at once, so a killed run leaves nothing that has to be cleaned up before it is resumed; from elsewhere, where that process
 * cannot be seen, two minutes after it was last written.
 *
 * @throws {BnnError} E_USAGE when the folder is held, E_IO when it cannot be written.
 */
export async function withRunLock<T>(folder: string, work: (lock: RunLock) => Promise<T>): Promise<T> {
  const created = await makeRunFolder(folder);
  const path = join(folder, LOCK_FILE);
  const holder: Holder = { ...thisProcess(), host: hostname(), token: randomBytes(8).toString('hex') };
  const tidy = async (): Promise<void> => {
    if (created !== undefined) await removeEmpty(resolve(folder), resolve(created));
  };
  await acquire(path, holder, folder).catch(async (error: unknown) => {
    await tidy();
    throw error;
  });
  try {
    return await whileBeating(path, holder, () => work({ check: () => check(path, holder, folder) }));
  } finally {
    if (await isMine(path, holder)) {
      await rm(path, { force: true }).catch(() => {});
      await tidy();
    }
  }
}

async function makeRunFolder(folder: string): Promise<string | undefined> {
  try {
    return await makeFolder(folder);
  } catch (error) {
    throw fromSystemError(error, 'create the run folder', folder);
  }
}

/** Deletes folders as long as they are empty, from the lowest up to the topmost that was created. */
async function removeEmpty(folder: string, topmost: string): Promise<void> {
  for (let path = folder; path.length >= topmost.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      return;
    }
  }
}

async function acquire(path: string, holder: Holder, folder: string): Promise<void> {
  const claim = temporaryName(path);
  try {
    const file = await open(claim, 'wx');
    await file.writeFile(textOf(holder)).finally(() => file.close());
    while (!(await place(claim, path, holder))) {
      const other = await readHolder(path);
      if (other === 'absent') continue;
      await assertAbandoned(path, other, claim, folder);
      await takeAway(path, other);
    }
  } catch (error) {
    throw fromSystemError(error, 'write into the run folder', folder);
  } finally {
    await rm(claim, { force: true }).catch(() => {});
  }
}

/** Puts the lock in place, complete from the start; false when there is one. */
async function place(claim: string, path: string, holder: Holder): Promise<boolean> {
  try {
    await link(claim, path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
  }
  // A file system without links.
  try {
    const file = await open(path, 'wx');
    await file.writeFile(textOf(holder)).finally(() => file.close());
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** @throws {BnnError} E_USAGE unless the training that holds the lock has ended. */
async function assertAbandoned(path: string, other: Holder | null, claim: string, folder: string): Promise<void> {
  const alive = other === null ? null : isAlive(other);
  if (alive === false) return;
  const ageMs = await ageOf(path, claim);
  // Where the system does not tell when a process started, its number may be another one's by now.
  const isExact = alive === true && other?.start !== '';
  if (!isExact && ageMs >= ABANDONED_MS) return;
  const who = other === null ? '' : ` (process ${other.pid} on ${other.host})`;
  const seconds = Math.ceil((ABANDONED_MS - ageMs) / 1000);
  throw new BnnError('E_USAGE', `another training is using this folder${who}`, {
    at: folder,
    hint:
      alive === true
        ? 'wait until it has ended or stop it with Ctrl-C, or choose another --out'
        : `wait until it has ended, or choose another --out; if it was killed, the folder is free again in ${seconds} s`,
  });
}

/** How long the lock was not written, by the clock that dates files there. */
async function ageOf(path: string, claim: string): Promise<number> {
  try {
    return (await stat(claim)).mtimeMs - (await stat(path)).mtimeMs;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return ABANDONED_MS;
    throw error;
  }
}

/** Removes the lock of `other`. When someone else was faster and has it already, their lock is put back. */
async function takeAway(path: string, other: Holder | null): Promise<void> {
  const aside = temporaryName(path);
  try {
    await renamePatiently(path, aside);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw error;
  }
  const taken = await readHolder(aside);
  if (taken !== 'absent' && taken?.token !== other?.token) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

async function whileBeating<T>(path: string, holder: Holder, work: () => Promise<T>): Promise<T> {
  const file = await open(path, 'r+').catch((error: unknown) => {
    throw fromSystemError(error, 'write the lock of the run folder', path);
  });
  const timer = setInterval(() => void write(file, holder), BEAT_MS).unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    // Where the folder was renamed, its lock is out of reach by name; there, it belongs to no process from now on.
    await write(file, { ...holder, pid: 0 });
    await file.close();
  }
}

/** Writes the lock, which also dates it anew. Not by `utimes`, which takes the time from this machine's clock. */
async function write(file: FileHandle, holder: Holder): Promise<void> {
  try {
    // Spaces, so that no rest of an older text stays.
    await file.write(textOf(holder).trimEnd().padEnd(256), 0);
  } catch {
    // What went wrong is found by `check`, before anything depends on it.
  }
}

async function isMine(path: string, holder: Holder): Promise<boolean> {
  const now = await readHolder(path).catch(() => null);
  return now !== 'absent' && now?.token === holder.token;
}

async function check(path: string, holder: Holder, folder: string): Promise<void> {
  let now: Holder | 'absent' | null;
  try {
    now = await readHolder(path);
  } catch (error) {
    throw fromSystemError(error, 'read the lock of the run folder', path);
  }
  if (now !== 'absent' && now?.token === holder.token) return;
  const isGone = now === 'absent';
  throw new BnnError(
    'E_IO',
    isGone
      ? `the run folder was deleted or renamed while the training ran: there is no ${basename(path)} in it any more`
      : 'another training has taken over the run folder',
    {
      at: folder,
      hint: isGone
        ? 'what was saved before is where the folder is now; continue there with --resume'
        : 'it found this one without a sign of life for two minutes; what was saved before is what it goes on from',
    },
  );
}

/** Null when it cannot be understood. */
async function readHolder(path: string): Promise<Holder | 'absent' | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESTALE') return 'absent';
    throw error;
  }
  try {
    const { scope, pid, start, token, host } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const texts = [scope, start, token, host];
    if (typeof pid !== 'number' || !texts.every((item) => typeof item === 'string')) return null;
    return { scope, pid, start, token, host } as Holder;
  } catch {
    return null;
  }
}

function textOf(holder: Holder): string {
  return `${JSON.stringify(holder)}\n`;
}
