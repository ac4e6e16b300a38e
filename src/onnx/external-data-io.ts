/** Tensors that a model keeps in files beside it: read from inside the model's folder only. */

import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { join, sep, win32 } from 'node:path';
import { BnnError, fromSystemError } from '../errors.ts';
import type { ReadExternal } from './decode-context.ts';

/** Tensors may share bytes of a file, but a small file that a thousand tensors share would take the memory of a thousand. */
const MOST_SHARED = 16;

/**
 * A reader of external data below `folder`.
 *
 * A model comes from anywhere, so its locations are not trusted: absolute paths, `..` and symbolic links that lead out of the
 * folder are refused (E_FORMAT), and a read outside the file is refused before memory is allocated.
 *
 * @param sizes  takes the size in bytes of each file that is read, by its path.
 */
export function createExternalReader(folder: string, at: string, sizes = new Map<string, number>()): ReadExternal {
  const left = new Map<string, number>();
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
      const size = sizeOf(target, where);
      sizes.set(target, size);
      const rest = (left.get(target) ?? MOST_SHARED * size) - length;
      if (offset + length <= size && rest < 0) {
        throw new BnnError('E_FORMAT', `its tensors hold more than ${MOST_SHARED} times its ${size} bytes`, {
          at: where,
        });
      }
      left.set(target, rest);
      return readRange(target, size, offset, length, where);
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

function sizeOf(path: string, where: string): number {
  const status = statSync(path);
  if (!status.isFile()) throw new BnnError('E_FORMAT', 'external data are not in a regular file', { at: where });
  return status.size;
}

function allocate(length: number, where: string): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new BnnError('E_UNSUPPORTED', `a tensor of ${length} bytes is more than the memory takes`, {
      at: where,
      cause,
    });
  }
}

function readRange(path: string, size: number, offset: number, length: number, where: string): Uint8Array {
  if (offset + length > size) {
    const message = `bytes ${offset} to ${offset + length} are asked for, but the file has ${size}`;
    throw new BnnError('E_FORMAT', message, { at: where, hint: 'check that the file was copied completely' });
  }
  const bytes = allocate(length, where);
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
