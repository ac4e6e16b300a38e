/** Digests of the files of a folder in a file of their own, as `sha256sum -c SHA256SUMS` takes them: a changed bit anywhere is found. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';

export const DIGESTS_FILE = 'SHA256SUMS';

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Text of the file for these files. */
export function formatDigests(files: Readonly<Record<string, Uint8Array | string>>): string {
  return Object.entries(files)
    .map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`)
    .join('');
}

/**
 * Compares files of a folder with their digests.
 *
 * @returns false when the folder has no digests.
 * @throws  {BnnError} E_FORMAT when a file, or the list, is not as it was written; E_IO or E_NOT_FOUND when it cannot be read.
 */
export async function checkDigests(folder: string, names: readonly string[]): Promise<boolean> {
  const at = join(folder, DIGESTS_FILE);
  let text: string;
  try {
    text = await readFile(at, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw fromSystemError(error, 'read', at);
  }
  const listed = new Map<string, string>();
  for (const line of text.split(/(?<=\n)/)) {
    const [, digest = '', name] = /^([0-9a-f]{64}) {2}([\w.]+)\n$/.exec(line) ?? [];
    if (name === undefined) throw damaged(at, `"${line.trimEnd()}" is no digest and name`);
    listed.set(name, digest);
  }
  for (const name of names) {
    const path = join(folder, name);
    const digest = listed.get(name);
    if (digest === undefined) throw damaged(at, `it does not list ${name}`);
    let bytes: Uint8Array;
    try {
      bytes = await readFile(path);
    } catch (error) {
      throw fromSystemError(error, 'read', path);
    }
    if (sha256(bytes) !== digest) throw damaged(path, `it does not have the digest that ${DIGESTS_FILE} lists`);
  }
  return true;
}

function damaged(at: string, how: string): BnnError {
  return new BnnError('E_FORMAT', `the file is damaged or was changed since it was written: ${how}`, {
    at,
    hint: 'take the folder from a copy, or use the other checkpoint of the run (last/ or best/)',
  });
}
