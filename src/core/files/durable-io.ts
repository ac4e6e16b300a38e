/** Flushing and renaming as each system can: what a power cut must not lose, and what Windows refuses for a moment. */

import { fsync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemErrorCode } from '../../errors.ts';

/** Waits until what was written into a file is on the disk. */
export async function flushFile(file: FileHandle): Promise<void> {
  // Not `file.sync`: the handles that Yarn's Plug'n'Play puts in the place of Node's have none that works.
  await promisify(fsync)(file.fd);
}

/** What systems answer that cannot flush a folder: Windows, and file systems over a network. */
const CANNOT_FLUSH = ['EPERM', 'EACCES', 'EISDIR', 'EINVAL', 'EBADF', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'];

/** Waits until the names in a folder are on the disk, where the system can: a rename is lost in a power cut otherwise. */
export async function flushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    try {
      await flushFile(folder);
    } finally {
      await folder.close();
    }
  } catch (error) {
    if (!CANNOT_FLUSH.includes(systemErrorCode(error) ?? '')) throw error;
  }
}

/** What Windows answers while another process, such as a virus scanner, has the file open. */
const BUSY = ['EPERM', 'EACCES', 'EBUSY'];
const FIRST_PAUSE_MS = 10;
/** With pauses that double: about five seconds. */
const ATTEMPTS = 10;

/**
 * Renames, tried again for some seconds where Windows says that it is in use.
 *
 * @throws what the system says.
 */
export async function renamePatiently(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rename(from, to);
    } catch (error) {
      const isBusy = process.platform === 'win32' && BUSY.includes(systemErrorCode(error) ?? '');
      if (!isBusy || attempt === ATTEMPTS) throw error;
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1));
    }
  }
}

/** The same, and on the disk when it returns. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await renamePatiently(from, to);
  await flushFolder(dirname(to));
}
