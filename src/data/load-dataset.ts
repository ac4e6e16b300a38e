/** The data sets by name. */

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { assertRegularFile } from '../core/files/regular-file-io.ts';
import { nearest } from '../core/nearest.ts';
import { namesOf } from '../core/row-named.ts';
import { BnnError, systemErrorCode } from '../errors.ts';
import type { Dataset, LoadOptions } from './dataset.ts';
import { loadCifar10 } from './sets/cifar10.ts';
import { loadCifar100 } from './sets/cifar100.ts';
import { loadImageFolder } from './sets/image-folder.ts';
import { loadImagenet } from './sets/imagenet.ts';
import { loadMnist } from './sets/mnist.ts';
import { loadWebdataset } from './sets/webdataset.ts';

export interface DatasetRow<N extends string = string> {
  readonly name: N;
  /** Its pictures have various sizes, and `imageSize` chooses the one they are framed to. */
  readonly hasFreeImageSize?: true;
  /** Its pictures may lie in folders of classes alone, of which `split` divides each. */
  readonly canSplit?: true;
  /** Its loader says what it can fetch when the folder is not there. */
  readonly canDownload?: true;
  load(options: LoadOptions): Promise<Dataset>;
}

/** In the order of the help. */
export const DATASETS: readonly DatasetRow[] = [
  { name: 'mnist', load: loadMnist },
  { name: 'cifar10', canDownload: true, load: loadCifar10 },
  { name: 'cifar100', canDownload: true, load: loadCifar100 },
  { name: 'imagenet', hasFreeImageSize: true, load: loadImagenet },
  { name: 'webdataset', hasFreeImageSize: true, load: loadWebdataset },
  { name: 'image-folder', hasFreeImageSize: true, canSplit: true, load: loadImageFolder },
];

/** Whether the pictures of a data set have various sizes. */
export function hasFreeImageSize(name: string, datasets = DATASETS): boolean {
  return datasets.find((row) => row.name === name)?.hasFreeImageSize === true;
}

export function canSplit(name: string, datasets = DATASETS): boolean {
  return datasets.find((row) => row.name === name)?.canSplit === true;
}

export function canDownload(name: string, datasets = DATASETS): boolean {
  return datasets.find((row) => row.name === name)?.canDownload === true;
}

/** Names that `loadDataset` knows. */
export const DATASET_NAMES: readonly string[] = namesOf(DATASETS);

/**
 * Loads a data set. A limit takes the first so many images of a split; of encoded pictures, which are often sorted by class,
 * the first in a fixed shuffled order.
 *
 * @param datasets  the table; that of this project unless told.
 * @throws {BnnError} E_NOT_FOUND for an unknown name or a place that does not exist, and what the loaders throw.
 */
export async function loadDataset(name: string, options: LoadOptions = {}, datasets = DATASETS): Promise<Dataset> {
  const row = datasets.find((it) => it.name === name);
  if (row === undefined) {
    const near = nearest(name, namesOf(datasets));
    throw new BnnError('E_NOT_FOUND', `unknown data set "${name}", expected one of ${namesOf(datasets).join(', ')}`, {
      hint:
        near === undefined
          ? 'one of your own comes with its plug-in: --plugin FILE of bnn-train, bnn-validate and bnn-export'
          : `did you mean ${near}?`,
    });
  }
  if (options.dir !== undefined) await assertExists(options.dir, row.canDownload === true);
  return row.load(options);
}

/** What is not there at all is no data set with parts missing, and a pipe is neither a folder nor an archive. */
async function assertExists(dir: string, mayBeMissing: boolean): Promise<void> {
  if (dir.includes('{')) return; // a pattern
  try {
    const facts = await stat(dir);
    if (!facts.isDirectory()) assertRegularFile(facts, resolve(dir));
  } catch (error) {
    if (error instanceof BnnError) throw error;
    if (systemErrorCode(error) !== 'ENOENT' || mayBeMissing) return;
    throw new BnnError('E_NOT_FOUND', 'there is no such file or folder', { at: resolve(dir), hint: 'check --data' });
  }
}
