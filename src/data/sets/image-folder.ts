/**
 * Pictures in folders named by their class: DIR/train/<class>/*, DIR/test/<class>/* (or val), or DIR/<class>/* with a share of each class
 * to test on. A class is the rank of its folder.
 */

import { resolve } from 'node:path';
import { BnnError } from '../../errors.ts';
import type { Dataset, LoadOptions } from '../dataset.ts';
import { divideClasses } from '../folders/divide-classes.ts';
import { listSplits, refuseEmptyClasses, refuseStrangers } from '../folders/split-folders.ts';
import { frameOf, splitOfFolders } from '../splits/file-split.ts';
import { limitOf } from '../splits/limits.ts';
import { pictureDataset } from './picture-dataset.ts';

const TEST_NAMES = ['test', 'val'];

/**
 * Lists an image folder; pictures are decoded later, when a batch needs them.
 *
 * @throws {BnnError} E_NOT_FOUND when there are no pictures, E_FORMAT when a class has none, or the test split has a class that training
 *   has not.
 */
export async function loadImageFolder(options: LoadOptions): Promise<Dataset> {
  if (options.dir === undefined) {
    throw new BnnError('E_USAGE', 'the data set image-folder needs a folder', { hint: 'add --data DIR' });
  }
  const frame = frameOf(options);
  const root = resolve(options.dir);
  const { train, test, notes } =
    options.split === undefined
      ? await listSplits(root, TEST_NAMES)
      : await divideClasses(root, options.split, ['train', ...TEST_NAMES]);
  const classes = train?.names ?? test?.names ?? [];
  if (test !== undefined) refuseStrangers(test, classes, 'every class needs a folder in train');
  refuseEmptyClasses(train ?? test);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const labelOf = (name: string): number => labels.get(name) ?? 0;
  const splits = {
    train: splitOfFolders(train, labelOf, frame, limitOf('limitTrain', options.limitTrain)),
    test: splitOfFolders(test, labelOf, frame, limitOf('limitTest', options.limitTest)),
  };
  return pictureDataset({ name: 'image-folder', classes, root, notes }, splits);
}
