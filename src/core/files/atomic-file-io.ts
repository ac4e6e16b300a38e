/** Files and folders that appear complete or not at all: written beside their place, flushed, then renamed. */

import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError, systemErrorCode } from '../../errors.ts';
import { flushFile, flushFolder, renameDurably, renamePatiently } from './durable-io.ts';
import { removeAbandoned, temporaryName } from './temporary-name-io.ts';

/** Writes and flushes one file. */
async function writeFlushed(path: string, bytes: Uint8Array | string): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(bytes);
    await flushFile(file);
  } finally {
    await file.close();
  }
}

/**
 * Replaces (or creates) a file by rename, creating its folder when missing; what a process killed while it did the same has left goes.
 *
 * @throws {BnnError} E_IO or E_NOT_FOUND with the path; the old file, if any, is untouched.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await makeFolder(dirname(path));
    await removeAbandoned(path);
    await writeFlushed(temporary, bytes);
    await renameDurably(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw fromSystemError(error, 'write', path);
  }
}

/**
 * Creates a folder and those above it, where they are missing. Not by `recursive`: of a read-only disk that says that something does
 * not exist, and below /proc it never ends.
 *
 * @returns the topmost folder that was created; undefined when all were there.
 * @throws  what the system says.
 */
export async function makeFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path);
    return path;
  } catch (error) {
    if (await isFolder(path)) return undefined;
    const above = dirname(path);
    if (systemErrorCode(error) !== 'ENOENT' || above === path) throw error;
    const created = (await isFolder(above)) ? undefined : await makeFolder(above);
    return makeLast(path, created);
  }
}

/** The folder above is there now, perhaps since another process has made it just then. */
async function makeLast(path: string, created: string | undefined): Promise<string | undefined> {
  try {
    await mkdir(path);
    return created ?? path;
  } catch (error) {
    if (await isFolder(path)) return created;
    throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

/**
 * Replaces (or creates) a folder of files, in a folder that exists. The old folder is moved aside only when the new one is complete on disk; a process
 * killed between the two renames leaves `<path>.old`, which `recoverFolder` puts back.
 *
 * @throws {BnnError} E_IO or E_NOT_FOUND with the path; the old folder, if any, is untouched.
 */
export async function writeFolderAtomic(
  path: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<void> {
  const temporary = temporaryName(path);
  const old = `${path}.old`;
  try {
    await mkdir(temporary);
    for (const [name, bytes] of Object.entries(files)) await writeFlushed(join(temporary, name), bytes);
    await flushFolder(temporary);
    await removeFolder(old);
    await renamePatiently(path, old).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    });
    await renameDurably(temporary, path);
    await removeFolder(old);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw fromSystemError(error, 'write', path);
  }
}

/** Finishes what a process killed inside `writeFolderAtomic` left: after this, `path` is complete or absent. */
export async function recoverFolder(path: string): Promise<void> {
  try {
    await rename(`${path}.old`, path);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return;
    // The new folder is in place, so the old one is only a leftover.
    const isInPlace = OCCUPIED.includes(code ?? '') && (await isFolder(path));
    if (!isInPlace) throw fromSystemError(error, 'restore', path);
    await removeFolder(`${path}.old`);
  }
}

/** What systems answer to a rename onto a folder that is not empty; Windows says EPERM of any that is there. */
const OCCUPIED = ['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES'];

/** Windows keeps names of files that are still open somewhere, for a moment. */
async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 8, retryDelay: 50 });
}
