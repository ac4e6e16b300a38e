/** Files that a recipe names, by their digest. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { BnnError, fromSystemError } from '../../errors.ts';
import { readSizedModel } from '../../onnx/model-io.ts';

const READING = {
  init: 'read the network to start from',
  teacher: 'read the network to imitate',
} as const;

/**
 * The sha256 (hex) of the file that a field of a recipe names, and of those in which it keeps its weights, one after the other: an export whose
 * weights lie beside it is the same file whatever they are.
 *
 * @param expected  the digest that the recipe has; '' where it has none.
 * @throws {BnnError} E_NOT_FOUND or E_IO; E_FORMAT when it is not the expected one.
 */
export async function digestOfFile(field: keyof typeof READING, path: string, expected: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [path, ...(await externalFilesOf(path))]) {
    try {
      for await (const part of createReadStream(file)) hash.update(part as Buffer);
    } catch (error) {
      throw fromSystemError(error, READING[field], file);
    }
  }
  const digest = hash.digest('hex');
  if (expected === '' || expected === digest) return digest;
  throw new BnnError('E_FORMAT', `the file has SHA-256 ${digest}, the recipe names ${expected}`, {
    at: path,
    hint: `give the file that the recipe was made with (--${field} FILE), or take ${field}Sha256 out of the recipe of a new run`,
  });
}

/** None of a file that cannot be read as a model: what is wrong with it is said where it is opened. */
async function externalFilesOf(path: string): Promise<readonly string[]> {
  try {
    return (await readSizedModel(path)).externalFiles;
  } catch (error) {
    if (error instanceof BnnError) return [];
    throw error;
  }
}
