/** `classes.txt`: the classes of a data set in the order of their labels. */

import { join } from 'node:path';
import { readRegularFile } from '../../core/files/regular-file-io.ts';
import { BnnError } from '../../errors.ts';
import { fileSize } from '../files/source-files.ts';

/** Name of the file, in the root of a data set. */
export const CLASS_LIST = 'classes.txt';
const LONGEST_LIST = 1 << 26;

/** Synonym sets of WordNet, by which the folders of ImageNet are called. */
const WORDNET_ID = /^n\d{8}$/;

export interface ListedClass {
  /** The folder it names; undefined when the line holds only a name for people. */
  readonly folder: string | undefined;
  readonly name: string;
}

/**
 * One class a line: `folder<TAB>name`, `<WordNet id> name`, or a folder alone, or a name alone. Empty lines at the end do not count.
 *
 * @param isFolder  whether there is a folder of that name.
 */
export function parseClassList(text: string, isFolder: (name: string) => boolean): ListedClass[] {
  const lines = text.trimEnd().split(/\r?\n/);
  return lines.map((line) => {
    const [, first = '', rest = ''] = /^(\S+)(?:\s+(.*))?$/.exec(line.trim()) ?? [];
    const [beforeTab, ...afterTab] = line.split('\t');
    if (WORDNET_ID.test(first)) return { folder: first, name: rest || first };
    if (afterTab.length > 0) return { folder: beforeTab?.trim(), name: afterTab.join(' ').trim() };
    const name = line.trim();
    return { folder: isFolder(name) ? name : undefined, name };
  });
}

/**
 * Reads the list of a data set; undefined where there is none.
 *
 * @throws {BnnError} E_IO when it cannot be read.
 */
export async function readClassList(root: string): Promise<string | undefined> {
  const path = join(root, CLASS_LIST);
  if ((await fileSize(path)) === undefined) return undefined;
  return new TextDecoder().decode(await readRegularFile(path, { mostBytes: LONGEST_LIST }));
}

/**
 * Labels of folders by a list. Lines that name no folder stand for the folders in their sorted order, which must then be as many.
 *
 * @param folders  sorted names of all folders.
 * @throws {BnnError} E_FORMAT when list and folders do not fit, naming both.
 */
export function labelFolders(
  list: readonly ListedClass[],
  folders: readonly string[],
  at: string,
): ReadonlyMap<string, number> {
  const unnamed = list.findIndex(({ folder }) => folder === undefined);
  if (unnamed >= 0) {
    if (list.every(({ folder }) => folder === undefined) && list.length === folders.length) {
      return new Map(folders.map((folder, label) => [folder, label]));
    }
    const message = `line ${unnamed + 1}, "${list[unnamed]?.name}", names no folder, and ${list.length} lines are not ${folders.length} folders`;
    throw new BnnError('E_FORMAT', message, { at, hint: 'write one line for each class: folder, a tab, name' });
  }
  const labels = new Map(list.map(({ folder = '' }, label) => [folder, label]));
  if (labels.size < list.length) {
    const twice = list.find(({ folder = '' }, i) => labels.get(folder) !== i);
    throw new BnnError('E_FORMAT', `the class "${twice?.folder}" is listed twice`, { at });
  }
  const missing = folders.find((folder) => !labels.has(folder));
  if (missing !== undefined) {
    const message = `the folder "${missing}" is not among the ${list.length} classes of the list`;
    throw new BnnError('E_FORMAT', message, { at, hint: 'add it to the list, or remove the list to sort by name' });
  }
  return labels;
}
