/** Files that a recipe names, by their digest. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { BnnError, fromSystemError } from '../../errors.ts';

const READING = {
  init: 'read the network to start from',
  teacher: 'read the network to imitate',
} as const;

/**
 * The sha256 (hex) of the file that a field of a recipe names.
 *
 * @param expected  the digest that the recipe has; '' where it has none.
 * @throws {BnnError} E_NOT_FOUND or E_IO; E_FORMAT when it is not the expected one.
 */
export async function digestOfFile(field: keyof typeof READING, path: string, expected: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw fromSystemError(error, READING[field], path);
  }
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (expected === '' || expected === digest) return digest;
  throw new BnnError('E_FORMAT', `the file has SHA-256 ${digest}, the recipe names ${expected}`, {
    at: path,
    hint: `give the file that the recipe was made with (--${field} FILE), or take ${field}Sha256 out of the recipe of a new run`,
  });
}
