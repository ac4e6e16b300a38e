/** Checks on a path that a command is going to write. */

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';

/**
 * Refuses what must not be replaced by a file: folders, devices, and `other`, a file that is needed besides.
 *
 * @param clash  what to say when the two are the same.
 * @throws {BnnError} E_USAGE or E_IO.
 */
export async function assertWritable(path: string, other: string, clash = 'the output is the source'): Promise<void> {
  if (path === '') throw new BnnError('E_USAGE', 'the name of the output file is empty', { hint: 'add -o model.onnx' });
  if (resolve(path) === resolve(other)) {
    throw new BnnError('E_USAGE', clash, { at: path, hint: 'choose another name' });
  }
  try {
    if ((await stat(path)).isFile()) return;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return;
    throw fromSystemError(error, 'write', path);
  }
  // Writing by rename would put a file in the place of a device.
  throw new BnnError('E_IO', 'there is something here that is not a regular file', {
    at: path,
    hint: 'give -o the name of a file, e.g. model.onnx',
  });
}
