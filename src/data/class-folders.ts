/** Lists pictures that lie in folders named by their class. */

import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { BnnError, fromSystemError } from '../errors.ts';

const EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']);

export interface ClassFolders {
  readonly folder: string;
  /** Names of the folders in plain code-unit order, as torchvision's ImageFolder has them. */
  readonly names: readonly string[];
  /** Absolute paths of the pictures of each, in the same order of names. */
  readonly files: readonly (readonly string[])[];
}

/** Whether a file is taken for a picture, by its name. */
export function isPictureName(name: string): boolean {
  return EXTENSIONS.has(extname(name).toLowerCase());
}

/**
 * Undefined when the folder is not there or holds no pictures.
 *
 * @throws {BnnError} E_IO when a folder cannot be read.
 */
export async function listClassFolders(folder: string): Promise<ClassFolders | undefined> {
  let entries: Awaited<ReturnType<typeof readFolder>>;
  try {
    entries = await readFolder(folder);
  } catch (error) {
    const known = fromSystemError(error, 'read the folder', folder);
    if (known instanceof BnnError && known.code === 'E_NOT_FOUND') return undefined;
    throw known;
  }
  const names = entries
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();
  const files: string[][] = [];
  for (const name of names) files.push(await listPictures(join(folder, name)));
  return files.some((paths) => paths.length > 0) ? { folder, names, files } : undefined;
}

function readFolder(folder: string) {
  return readdir(folder, { withFileTypes: true });
}

async function listPictures(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder))
      .filter((name) => !name.startsWith('.') && isPictureName(name))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    throw fromSystemError(error, 'read the folder', folder);
  }
}
