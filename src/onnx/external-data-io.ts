/** Tensors that a model keeps in files beside it: read from inside the model's folder only. */

import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { join, sep, win32 } from 'node:path';
import { BnnError, fromSystemError } from '../errors.ts';
import type { ReadExternal } from './decode-context.ts';

/**
 * A reader of external data below `folder`.
 *
 * A model comes from anywhere, so its locations are not trusted: absolute paths, `..` and symbolic links that lead out of the
 * folder are refused (E_FORMAT), and a read outside the file is refused before memory is allocated.
 */
export function createExternalReader(folder: string, at: string): ReadExternal {
  return (location, offset, length) => {
    const where = `${at} > external file "${location}"`;
    assertRelative(location, where);
    const path = join(folder, location);
    try {
      const root = realpathSync(folder);
      const target = realpathSync(path);
      if (!target.startsWith(root.endsWith(sep) ? root : root + sep)) {
        throw outside('is a link that leads out of the folder of the model', where);
      }
      return readRange(target, offset, length, where);
    } catch (error) {
      throw fromSystemError(error, 'read external data', path);
    }
  };
}

function assertRelative(location: string, where: string): void {
  if (location.includes('\0')) throw outside('contains a NUL character', where);
  // Also absolute as Windows sees it, on any system: a drive letter or a leading slash or backslash.
  if (win32.isAbsolute(location) || /^[A-Za-z]:/.test(location)) throw outside('is an absolute path', where);
  if (location.split(/[/\\]/).includes('..')) throw outside('leads out of the folder of the model', where);
}

function outside(what: string, where: string): BnnError {
  return new BnnError('E_FORMAT', `the location of external data ${what}`, {
    at: where,
    hint: 'external data must lie in the folder of the model: do not use a model from a source that you do not trust',
  });
}

function readRange(path: string, offset: number, length: number, where: string): Uint8Array {
  const status = statSync(path);
  if (!status.isFile()) throw new BnnError('E_FORMAT', 'external data are not in a regular file', { at: where });
  if (offset + length > status.size) {
    const message = `bytes ${offset} to ${offset + length} are asked for, but the file has ${status.size}`;
    throw new BnnError('E_FORMAT', message, { at: where, hint: 'check that the file was copied completely' });
  }
  const bytes = new Uint8Array(length);
  const file = openSync(path, 'r');
  try {
    let done = 0;
    while (done < length) {
      const count = readSync(file, bytes, done, length - done, offset + done);
      if (count === 0) throw new BnnError('E_FORMAT', 'the file became shorter while it was read', { at: where });
      done += count;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}
