/** A folder of classes alone, divided into pictures to learn from and pictures to test on. */

import { join } from 'node:path';
import { Rng } from '../../core/numbers/rng.ts';
import { BnnError } from '../../errors.ts';
import type { SplitChoice } from '../dataset.ts';
import { PICTURE_FORMATS } from '../pictures/picture-format.ts';
import { type ClassFolders, listClassFolders } from './class-folders.ts';
import { LeftOut } from './left-out.ts';
import { nameSome, notesOn, refuseEmptyClasses, type SplitFolders } from './split-folders.ts';

/** Keeps its random numbers apart from those of others. */
const STREAM = 0x64697664;

/**
 * Divides each class by itself, by the seed and the sorted names of its files: the share is that of every class, rounded, with at
 * least one picture on both sides.
 *
 * @throws {BnnError} E_USAGE when the folder is divided already, E_NOT_FOUND without pictures, E_FORMAT for a class with fewer than two.
 */
export async function divideClasses(
  root: string,
  { share, seed }: SplitChoice,
  splitNames: readonly string[],
): Promise<SplitFolders> {
  const listing = await listClassFolders(root);
  const divided = listing?.names.find((name) => splitNames.includes(name));
  if (divided !== undefined) {
    throw new BnnError('E_USAGE', `the pictures are divided already: there is a folder "${divided}"`, {
      at: root,
      hint: 'give the folder that holds the classes, or train without --split',
    });
  }
  if (listing === undefined || listing.files.every((files) => files.length === 0)) {
    const found = listing !== undefined && listing.leftOut.count > 0 ? `; left out: ${listing.leftOut}` : '';
    throw new BnnError('E_NOT_FOUND', `no folders of pictures, one for each class${found}`, {
      at: root,
      hint: `expected e.g. cat/1.jpg and dog/1.jpg (${PICTURE_FORMATS.join(', ')})`,
    });
  }
  refuseEmptyClasses(listing);
  refuseSingles(listing);
  const chosen = listing.files.map((files, label) => {
    const count = Math.min(files.length - 1, Math.max(1, Math.round(share * files.length)));
    return new Set(new Rng(seed, STREAM, label).permutation(files.length).subarray(0, count));
  });
  const part = (isTest: boolean): ClassFolders => ({
    ...listing,
    files: listing.files.map((files, label) => files.filter((_, i) => chosen[label]?.has(i) === isTest)),
    leftOut: new LeftOut(),
  });
  return { train: part(false), test: part(true), notes: notesOn(listing) };
}

function refuseSingles({ folder, names, files }: ClassFolders): void {
  const single = names.filter((_, i) => files[i]?.length === 1);
  if (single.length === 0) return;
  const what =
    single.length === 1 ? `the class "${single[0]}" has` : `${single.length} classes, ${nameSome(single)}, have`;
  throw new BnnError('E_FORMAT', `${what} one picture, which cannot be learned from and tested on`, {
    at: join(folder, single[0] ?? ''),
    hint: 'add pictures to it, or remove the folder',
  });
}
