/** Reads files that users name. */

import { readFile, stat } from 'node:fs/promises';
import { BnnError, fromSystemError } from '../errors.ts';
import { describeFolder } from './folder-kind-io.ts';

/**
 * Reads a whole file.
 *
 * @param expected  what it should be, with its article, for messages.
 * @throws {BnnError} E_NOT_FOUND; E_IO, also for a folder and what else is no file of bytes.
 */
export async function readRegularFile(path: string, expected: string): Promise<Uint8Array> {
  try {
    const status = await stat(path);
    if (status.isDirectory()) {
      const { what, hint = 'give a file, not a folder' } = await describeFolder(path);
      throw new BnnError('E_IO', `this is ${what}, expected ${expected}`, { at: path, hint });
    }
    // A pipe or a device could keep the reader waiting, or never end.
    if (!status.isFile()) {
      throw new BnnError('E_IO', `not a regular file, expected ${expected}`, {
        at: path,
        hint: 'give the path of a file',
      });
    }
    return await readFile(path);
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  }
}
