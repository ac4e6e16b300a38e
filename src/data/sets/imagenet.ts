/**
 * ImageNet (O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015) as it is usually unpacked:
 * DIR/train/<wnid>/*.JPEG and DIR/val/<wnid>/*.JPEG, or DIR/val/images and val_annotations.txt as Tiny ImageNet has it. Labels are ranks of the sorted folder names, or lines of DIR/classes.txt.
 */

import { join, resolve } from 'node:path';
import { BnnError } from '../../errors.ts';
import type { Dataset, LoadOptions } from '../dataset.ts';
import type { ClassFolders } from '../folders/class-folders.ts';
import { CLASS_LIST, labelFolders, parseClassList, readClassList } from '../folders/class-list.ts';
import { listSplits, refuseEmptyClasses, refuseStrangers } from '../folders/split-folders.ts';
import { frameOf, splitOfFolders } from '../splits/file-split.ts';
import { limitOf } from '../splits/limits.ts';
import { pictureDataset } from './picture-dataset.ts';

/**
 * Lists ImageNet or a part of it. One of the two splits may be missing; it is then empty.
 *
 * @throws {BnnError} E_NOT_FOUND when neither split is there; E_FORMAT when a class has no pictures, the list of classes does not fit the folders, or when there
 *   is none and a folder of val is not in train.
 */
export async function loadImagenet(options: LoadOptions): Promise<Dataset> {
  if (options.dir === undefined) {
    throw new BnnError('E_USAGE', 'the data set imagenet needs its folder', { hint: 'add --data DIR' });
  }
  const frame = frameOf(options);
  const root = resolve(options.dir);
  const { train, test: val, notes } = await listSplits(root, ['val']);
  const { classes, labels } = await orderClasses(root, train, val);
  refuseEmptyClasses(train ?? val);
  const labelOf = (name: string): number => {
    const label = labels.get(name);
    if (label === undefined) throw new Error(`internal: the folder ${name} has no label`);
    return label;
  };
  const splits = {
    train: splitOfFolders(train, labelOf, frame, limitOf('limitTrain', options.limitTrain)),
    test: splitOfFolders(val, labelOf, frame, limitOf('limitTest', options.limitTest)),
  };
  return pictureDataset({ name: 'imagenet', classes, root, notes }, splits);
}

async function orderClasses(
  root: string,
  train: ClassFolders | undefined,
  val: ClassFolders | undefined,
): Promise<{ readonly classes: readonly string[]; readonly labels: ReadonlyMap<string, number> }> {
  const text = await readClassList(root);
  if (text !== undefined) {
    const folders = [...new Set([...(train?.names ?? []), ...(val?.names ?? [])])].sort();
    const known = new Set(folders);
    const list = parseClassList(text, (name) => known.has(name));
    return { classes: list.map(({ name }) => name), labels: labelFolders(list, folders, join(root, CLASS_LIST)) };
  }
  const classes = train?.names ?? val?.names ?? [];
  const hint = `give every class a folder in train, or list all classes in ${CLASS_LIST}`;
  if (val !== undefined) refuseStrangers(val, classes, hint);
  return { classes, labels: new Map(classes.map((name, label) => [name, label])) };
}
