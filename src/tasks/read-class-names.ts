/** Names of classes from a text file. */

import { readRegularFile } from '../core/files/regular-file-io.ts';
import { BnnError } from '../errors.ts';

const MOST_BYTES = 2 ** 26;

/**
 * One name a line, in the order of the model's outputs; empty lines at the end do not count.
 *
 * @throws {BnnError} E_NOT_FOUND, E_IO; E_FORMAT for a file without names.
 */
export async function readClassNames(file: string): Promise<string[]> {
  const bytes = await readRegularFile(file, {
    mostBytes: MOST_BYTES,
    expected: 'a file with a class name on each line',
  });
  const names = new TextDecoder()
    .decode(bytes)
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.trim());
  if (names.some((name) => name !== '')) return names;
  throw new BnnError('E_FORMAT', 'there are no names of classes', { at: file, hint: 'write one a line' });
}
