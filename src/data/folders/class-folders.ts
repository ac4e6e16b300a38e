/**
 * Lists pictures that lie in folders named by their class, at any depth below them, as torchvision's ImageFolder does. What is not
 * taken is counted by its reason.
 */

import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { openRegularFile, readInto } from '../../core/files/regular-file-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import { FORMAT_BYTES, formatOf, isPictureFormat, isPictureName } from '../pictures/picture-format.ts';
import { LeftOut } from './left-out.ts';

export interface ClassFolders {
  readonly folder: string;
  /** Names of the folders in plain code-unit order, as torchvision's ImageFolder has them. */
  readonly names: readonly string[];
  /** Absolute paths of the pictures of each, in the same order of names; a class may have none. */
  readonly files: readonly (readonly string[])[];
  readonly leftOut: LeftOut;
}

/** Folders that programs leave behind: archives of macOS, Synology, Jupyter. Names that begin with a dot are passed over as well. */
const NO_CLASSES = new Set(['__MACOSX', '@eaDir', 'lost+found', '__pycache__']);
const LEFT_BEHIND = 'folders that programs leave behind';
/** Folders in folders; deeper ones are not looked into. */
const DEEPEST = 8;

/**
 * Undefined when the folder is not there or holds neither folders nor pictures.
 *
 * @throws {BnnError} E_IO when a folder cannot be read.
 */
export async function listClassFolders(folder: string): Promise<ClassFolders | undefined> {
  const entries = await readFolder(folder);
  if (entries === undefined) return undefined;
  const leftOut = new LeftOut();
  const names: string[] = [];
  const files: string[][] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const kind = await kindOf(entry, path);
    if (NO_CLASSES.has(entry.name)) leftOut.add(LEFT_BEHIND, path);
    else if (kind === 'folder') {
      names.push(entry.name);
      files.push(await listPictures(path, leftOut));
    } else if (isPictureName(entry.name)) leftOut.add('not in the folder of a class', path);
  }
  return names.length > 0 || leftOut.count > 0 ? { folder, names, files, leftOut } : undefined;
}

/**
 * The pictures in a folder and the folders in it, sorted by name.
 *
 * @throws {BnnError} E_IO when a folder cannot be read.
 */
export async function listPictures(folder: string, leftOut: LeftOut): Promise<string[]> {
  const found: string[] = [];
  await findPictures(folder, 0, found, leftOut);
  return found;
}

async function findPictures(folder: string, depth: number, found: string[], leftOut: LeftOut): Promise<void> {
  for (const entry of (await readFolder(folder)) ?? []) {
    const path = join(folder, entry.name);
    const kind = await kindOf(entry, path);
    if (kind === 'file') {
      const reason = await whyNot(path, entry.name);
      if (reason === undefined) found.push(path);
      else leftOut.add(reason, path);
    } else if (kind !== 'folder') leftOut.add(kind, path);
    else if (NO_CLASSES.has(entry.name)) leftOut.add(LEFT_BEHIND, path);
    // A link may lead back to where it lies.
    else if (entry.isSymbolicLink()) leftOut.add('links to folders', path);
    else if (depth === DEEPEST) leftOut.add('folders too deep', path);
    else await findPictures(path, depth + 1, found, leftOut);
  }
}

/** Without hidden entries, in plain code-unit order; undefined when there is no such folder. */
async function readFolder(folder: string): Promise<Dirent[] | undefined> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter(({ name }) => !name.startsWith('.')).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const known = fromSystemError(error, 'read the folder', folder);
    if (known instanceof BnnError && known.code === 'E_NOT_FOUND') return undefined;
    throw known;
  }
}

type Kind = 'file' | 'folder' | 'broken links' | 'pipes, devices or sockets';

async function kindOf(entry: Dirent, path: string): Promise<Kind> {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  try {
    const facts = await stat(path);
    return facts.isFile() ? 'file' : facts.isDirectory() ? 'folder' : 'pipes, devices or sockets';
  } catch (error) {
    const known = fromSystemError(error, 'read', path);
    const isBroken = known instanceof BnnError && known.code === 'E_NOT_FOUND';
    if (isBroken || systemErrorCode(error) === 'ELOOP') return 'broken links';
    throw known;
  }
}

/** Undefined for a picture. A name that says so is believed; any other file is looked into. */
async function whyNot(path: string, name: string): Promise<string | undefined> {
  if (isPictureName(name)) return undefined;
  const { handle, sizeBytes } = await openRegularFile(path);
  try {
    const head = new Uint8Array(FORMAT_BYTES);
    const format = formatOf(head.subarray(0, await readInto(handle, head, 0)));
    if (isPictureFormat(format)) return undefined;
    if (sizeBytes === 0) return 'empty files';
    return format ?? `other files ${extname(name).toLowerCase() || 'without extension'}`;
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  } finally {
    await handle.close();
  }
}
