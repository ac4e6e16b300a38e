/** Pictures in folders named by their class: DIR/train/<class>/*, DIR/test/<class>/* (or val). A class is the rank of its folder. */

import { join, resolve } from 'node:path';
import { BnnError } from '../errors.ts';
import { listClassFolders } from './class-folders.ts';
import type { Dataset, LoadOptions } from './dataset.ts';
import { fingerprintOfFiles, imageSizeOf, splitOfFolders } from './file-split.ts';
import { limitOf } from './limits.ts';
import { IMAGENET_STATISTICS } from './normalization.ts';

/**
 * Lists an image folder; pictures are decoded later, when a batch needs them.
 *
 * @throws {BnnError} E_NOT_FOUND when there are no pictures, E_FORMAT when the test split has a class that training has not.
 */
export async function loadImageFolder(options: LoadOptions): Promise<Dataset> {
  if (options.dir === undefined) {
    throw new BnnError('E_USAGE', 'the data set image-folder needs a folder', { hint: 'add --data DIR' });
  }
  const size = imageSizeOf(options);
  const root = resolve(options.dir);
  const train = await listClassFolders(join(root, 'train'));
  const test = (await listClassFolders(join(root, 'test'))) ?? (await listClassFolders(join(root, 'val')));
  const classes = train?.names ?? test?.names;
  if (classes === undefined) {
    throw new BnnError('E_NOT_FOUND', 'no folder train, test or val with one folder of pictures for each class', {
      at: root,
      hint: 'expected e.g. train/cat/1.jpg and test/cat/2.jpg below it',
    });
  }
  const labels = new Map(classes.map((name, label) => [name, label]));
  const labelOf = (name: string): number => {
    const label = labels.get(name);
    if (label !== undefined) return label;
    const message = `class "${name}" is not among the ${classes.length} classes of the training split`;
    const at = join(test?.folder ?? root, name);
    throw new BnnError('E_FORMAT', message, { at, hint: 'every class needs a folder in train' });
  };
  const splits = {
    train: splitOfFolders(train, labelOf, size, limitOf('limitTrain', options.limitTrain)),
    test: splitOfFolders(test, labelOf, size, limitOf('limitTest', options.limitTest)),
  };
  return {
    name: 'image-folder',
    classes,
    height: size,
    width: size,
    channels: 3,
    ...splits,
    ...IMAGENET_STATISTICS,
    fingerprint: await fingerprintOfFiles(root, [splits.train, splits.test]),
    root,
  };
}
