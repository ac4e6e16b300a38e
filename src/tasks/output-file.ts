/** Checks on a path that a command is going to write. */

import { lstatSync } from 'node:fs';
import { access, constants, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';

/**
 * Refuses what must not be replaced by a file: folders, devices, and `other`, a file that is needed besides.
 *
 * @param other  none for a file whose name the command chooses.
 * @param clash  what to say when the two are the same.
 * @throws {BnnError} E_USAGE or E_IO.
 */
export async function assertWritable(path: string, other?: string, clash = 'the output is the source'): Promise<void> {
  if (path === '') {
    throw new BnnError('E_USAGE', 'the name of the output file is empty', { hint: `add -o ${freeFile('model')}` });
  }
  if (other !== undefined && (await realName(path)) === (await realName(other))) {
    throw new BnnError('E_USAGE', clash, { at: path, hint: 'choose another name' });
  }
  try {
    if ((await stat(path)).isFile()) return await assertFolder(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return await assertFolder(path);
    throw fromSystemError(error, 'write', path);
  }
  // Writing by rename would put a file in the place of a device.
  throw new BnnError('E_IO', 'there is something here that is not a regular file', {
    at: path,
    hint: other === undefined ? 'choose another folder' : `give -o the name of a file, e.g. ${freeFile('model')}`,
  });
}

export interface InputFile {
  /** `the mapping` */
  readonly what: string;
  /** Undefined where there is none. */
  readonly path: string | undefined;
}

/**
 * Refuses outputs that would replace what is read besides the source.
 *
 * @throws {BnnError} E_USAGE naming both.
 */
export async function assertKept(outputs: readonly string[], inputs: readonly InputFile[]): Promise<void> {
  for (const { what, path } of inputs) {
    if (path === undefined) continue;
    const read = await target(path);
    for (const output of outputs) {
      if ((await target(output)) !== read) continue;
      throw new BnnError('E_USAGE', `the output would replace ${what}, ${path}`, {
        at: output,
        hint: 'choose another name',
      });
    }
  }
}

/** The files in which a model keeps tensors, for `assertKept`. */
export function weightsOf(source: string, externalFiles: readonly string[]): InputFile[] {
  return externalFiles.map((path) => ({ what: `weights of ${source}`, path }));
}

/**
 * Checks before any work that a file can be put there: its folder, or the lowest one above that exists, can be written.
 *
 * @throws {BnnError} E_IO or E_NOT_FOUND.
 */
export async function assertFolder(path: string): Promise<void> {
  for (let folder = dirname(resolve(path)); ; folder = dirname(folder)) {
    try {
      await access(folder, constants.W_OK | constants.X_OK);
      return;
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT' || folder === dirname(folder))
        throw fromSystemError(error, 'write', path);
    }
  }
}

/**
 * A name for a file that is not there yet, so that who runs a printed command as it stands overwrites nothing: `net.onnx`, or
 * `net-packed.onnx`, `net-packed-2.onnx` ….
 */
export function freeFile(stem: string): string {
  for (let n = 0; ; n++) {
    const name = `${stem}${['', '-packed'][n] ?? `-packed-${n}`}.onnx`;
    if (lstatSync(name, { throwIfNoEntry: false }) === undefined) return name;
  }
}

/** One name for a file, by whatever links it is reached. */
function target(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

/** One name for a file or a link, by whatever links its folder is reached. */
async function realName(path: string): Promise<string> {
  const folder = await realpath(dirname(path)).catch(() => resolve(dirname(path)));
  return join(folder, basename(path));
}
