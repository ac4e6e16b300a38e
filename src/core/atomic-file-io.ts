/** Files and folders that appear complete or not at all: written beside their place, flushed, then renamed. */

import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromSystemError } from '../errors.ts';

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

function temporaryName(path: string): string {
  return `${path}.tmp-${randomBytes(4).toString('hex')}`;
}

/**
 * Replaces (or creates) a file by rename, creating its folder when missing.
 *
 * @throws {BnnError} E_IO or E_NOT_FOUND with the path; the old file, if any, is untouched.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFlushed(temporary, bytes);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw fromSystemError(error, 'write', path);
  }
}

/**
 * Replaces (or creates) a folder of files. The old folder is moved aside only when the new one is complete on disk; a process
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
    await mkdir(temporary, { recursive: true });
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
