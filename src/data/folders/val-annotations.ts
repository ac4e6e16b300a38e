/**
 * The evaluation split of Tiny ImageNet (Stanford CS231n): all pictures in `images`, their classes in `val_annotations.txt`, a line
 * for each with name, class and a bounding box, separated by tabs.
 */

import { basename, join } from 'node:path';
import { readRegularFile } from '../../core/files/regular-file-io.ts';
import { BnnError } from '../../errors.ts';
import { fileSize } from '../files/source-files.ts';
import { type ClassFolders, listPictures } from './class-folders.ts';
import { LeftOut } from './left-out.ts';

const ANNOTATIONS = 'val_annotations.txt';
const LONGEST = 1 << 28;

/**
 * As `listClassFolders`; undefined where there is no file of annotations.
 *
 * @throws {BnnError} E_FORMAT with the line for one that is none, or names a picture that is not there.
 */
export async function listAnnotated(folder: string): Promise<ClassFolders | undefined> {
  const path = join(folder, ANNOTATIONS);
  if ((await fileSize(path)) === undefined) return undefined;
  const leftOut = new LeftOut();
  const pictures = new Map<string, string>();
  for (const picture of await listPictures(join(folder, 'images'), leftOut)) pictures.set(basename(picture), picture);
  const classes = new Map<string, string[]>();
  const lines = new TextDecoder().decode(await readRegularFile(path, { mostBytes: LONGEST })).split('\n');
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const [name = '', label = ''] = line.split('\t').map((field) => field.trim());
    const picture = pictures.get(name);
    if (label === '' || picture === undefined) {
      const found = label === '' ? 'no class' : `the picture ${JSON.stringify(name)}, which is not in images`;
      throw new BnnError('E_FORMAT', `line ${i + 1} names ${found}; expected a picture, a tab and its class`, {
        at: path,
      });
    }
    pictures.delete(name);
    const some = classes.get(label);
    if (some === undefined) classes.set(label, [picture]);
    else some.push(picture);
  }
  for (const picture of pictures.values()) leftOut.add(`not in ${ANNOTATIONS}`, picture);
  const names = [...classes.keys()].sort();
  return { folder, names, files: names.map((name) => classes.get(name) ?? []), leftOut };
}
