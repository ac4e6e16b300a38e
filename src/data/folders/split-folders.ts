/** The folders `train` and `val` or `test` of a data set of pictures, and what a user should know about them. */

import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { nearest } from '../../core/nearest.ts';
import { BnnError } from '../../errors.ts';
import { PICTURE_FORMATS } from '../pictures/picture-format.ts';
import { type ClassFolders, listClassFolders } from './class-folders.ts';
import { listAnnotated } from './val-annotations.ts';

export interface SplitFolders {
  /** At least one of the two is there; what is there has pictures, though not of every class. */
  readonly train: ClassFolders | undefined;
  readonly test: ClassFolders | undefined;
  readonly notes: readonly string[];
}

/** Names in a message; of more, a count. */
const MOST_NAMES = 5;

/**
 * Lists both splits. The test split is the first of the names that has pictures; one with labels in a file of their own goes first.
 *
 * @throws {BnnError} E_NOT_FOUND when there is no picture at all.
 */
export async function listSplits(root: string, testNames: readonly string[]): Promise<SplitFolders> {
  const listed = {
    train: await listClassFolders(join(root, 'train')),
    test: await listTest(root, testNames),
  };
  const splits = [listed.train, listed.test].filter((split) => split !== undefined);
  if (!splits.some(hasPictures)) throw await nothingFound(root, testNames, splits);
  const notes = splits.flatMap(notesOn);
  const train = listed.train !== undefined && hasPictures(listed.train) ? listed.train : undefined;
  if (listed.test === undefined || !hasPictures(listed.test)) return { train, test: undefined, notes };
  if (train === undefined) return { train, test: listed.test, notes };
  const test = withoutEmptyClasses(listed.test);
  const untested = train.names.filter((name) => !test.names.includes(name));
  if (untested.length > 0) {
    notes.push(
      `${test.folder}: no pictures of ${untested.length} of ${train.names.length} classes: ${nameSome(untested)}`,
    );
  }
  return { train, test, notes };
}

function hasPictures({ files }: ClassFolders): boolean {
  return files.some((some) => some.length > 0);
}

function withoutEmptyClasses({ folder, names, files, leftOut }: ClassFolders): ClassFolders {
  const isThere = (_: unknown, i: number): boolean => (files[i] ?? []).length > 0;
  return { folder, names: names.filter(isThere), files: files.filter(isThere), leftOut };
}

/** What a user should know of a listing. */
export function notesOn(listing: ClassFolders): string[] {
  const { folder, names, files, leftOut } = listing;
  const notes: string[] = [];
  if (leftOut.count > 0) notes.push(`${folder}: ${leftOut.count} left out: ${leftOut}; e.g. ${leftOut.example}`);
  if (!hasPictures(listing)) notes.push(`${folder}: no pictures`);
  const divided = names.filter((_, i) => new Set(files[i]?.map((file) => dirname(file))).size > 1);
  if (divided.length > 0) notes.push(`${folder}: all pictures below a folder are of its class: ${nameSome(divided)}`);
  return notes;
}

async function listTest(root: string, names: readonly string[]): Promise<ClassFolders | undefined> {
  for (const name of names) {
    const annotated = await listAnnotated(join(root, name));
    if (annotated !== undefined) return annotated;
  }
  const listings: ClassFolders[] = [];
  for (const name of names) {
    const listing = await listClassFolders(join(root, name));
    if (listing !== undefined && hasPictures(listing)) return listing;
    if (listing !== undefined) listings.push(listing);
  }
  return listings[0];
}

/**
 * Refuses classes that would be there by name only.
 *
 * @param listing  the split that says which classes there are.
 * @throws {BnnError} E_FORMAT naming a class without pictures, and what its folder holds instead.
 */
export function refuseEmptyClasses(listing: ClassFolders | undefined): void {
  if (listing === undefined) return;
  const { folder, names, files, leftOut } = listing;
  const empty = names.filter((_, i) => (files[i] ?? []).length === 0);
  if (empty.length === 0) return;
  const found = leftOut.count > 0 ? `; left out: ${leftOut}` : '';
  const what = empty.length === 1 ? `the class "${empty[0]}" has` : `${empty.length} classes have`;
  throw new BnnError('E_FORMAT', `${what} no pictures${empty.length > 1 ? `: ${nameSome(empty)}` : ''}${found}`, {
    at: join(folder, empty[0] ?? ''),
    hint: `remove the folder, or put pictures into it (${PICTURE_FORMATS.join(', ')})`,
  });
}

/**
 * Refuses classes of the test split that are not known.
 *
 * @param hint  what to do.
 * @throws {BnnError} E_FORMAT naming the class.
 */
export function refuseStrangers(test: ClassFolders, known: readonly string[], hint: string): void {
  const strangers = test.names.filter((name) => !known.includes(name));
  const [first] = strangers;
  if (first === undefined) return;
  const which =
    strangers.length === 1 ? `the class "${first}" is` : `${strangers.length} classes, ${nameSome(strangers)}, are`;
  const near = nearest(first, known);
  throw new BnnError('E_FORMAT', `${which} not among the ${known.length} classes of train`, {
    at: join(test.folder, first),
    hint: near === undefined ? hint : `is it "${near}"? ${hint}`,
  });
}

export function nameSome(names: readonly string[]): string {
  const some = names.slice(0, MOST_NAMES).join(', ');
  return names.length > MOST_NAMES ? `${some} and ${names.length - MOST_NAMES} more` : some;
}

async function nothingFound(
  root: string,
  testNames: readonly string[],
  listed: readonly ClassFolders[],
): Promise<BnnError> {
  const reasons = listed
    .filter(({ leftOut }) => leftOut.count > 0)
    .map(({ folder, leftOut }) => `${folder}: ${leftOut}`);
  const found = reasons.length > 0 ? `; left out: ${reasons.join('; ')}` : '';
  const wanted = ['train', ...testNames].join(' or ');
  return new BnnError('E_NOT_FOUND', `no folder ${wanted} with one folder of pictures for each class${found}`, {
    at: root,
    hint: await whereElse(root, testNames),
  });
}

/** Archives often unpack to a folder in a folder, and pictures are often not divided yet. */
async function whereElse(root: string, testNames: readonly string[]): Promise<string> {
  const layout = `expected e.g. train/cat/1.jpg and ${testNames[0]}/cat/2.jpg (${PICTURE_FORMATS.join(', ')})`;
  const below = await listClassFolders(root).catch(() => undefined);
  if (below === undefined) return layout;
  for (const name of below.names) {
    const inside = await readdir(join(root, name)).catch(() => []);
    if (inside.some((entry) => entry === 'train' || testNames.includes(entry)))
      return `give --data ${join(root, name)}`;
  }
  const isSplitless = !below.names.some((name) => name === 'train' || testNames.includes(name));
  return isSplitless && below.files.some((some) => some.length > 0)
    ? `${testNames.includes('test') ? 'train with --split 0.2 to test on a fifth of each class (other commands know it of the run folder), or ' : ''}divide the folders of the classes into train and ${testNames[0]}: ${layout}`
    : layout;
}
