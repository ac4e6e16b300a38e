/** Files and folders that appear complete or not at all: written beside their place, flushed, then renamed. */

import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError, systemErrorCode } from '../errors.ts';
import { removeAbandoned, temporaryName } from './temporary-name-io.ts';

/** Writes and flushes one file. */
async function writeFlushed(path: string, bytes: Uint8Array | string): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
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
    await rename(temporary, path);
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
    const code = systemErrorCode(error);
    if (code !== 'ENOENT' && (await isFolder(path))) return undefined;
    const above = dirname(path);
    if (code !== 'ENOENT' || above === path || (await isFolder(above))) throw error;
    const created = await makeFolder(above);
    const own = await makeFolder(path);
    return created ?? own;
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
    await rm(old, { recursive: true, force: true });
    await rename(path, old).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'ENOENT') throw error;
    });
    await rename(temporary, path);
    await rm(old, { recursive: true, force: true });
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
    const code = (error as { code?: string }).code;
    // ENOTEMPTY, EEXIST: the new folder is in place, so the old one is only a leftover.
    if (code === 'ENOTEMPTY' || code === 'EEXIST') await rm(`${path}.old`, { recursive: true, force: true });
    else if (code !== 'ENOENT') throw fromSystemError(error, 'restore', path);
  }
}
