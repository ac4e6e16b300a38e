/** The data sets by name. */

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { nearest } from '../core/nearest.ts';
import { assertRegularFile } from '../core/regular-file-io.ts';
import { BnnError, systemErrorCode } from '../errors.ts';
import { loadCifar10 } from './cifar10.ts';
import { loadCifar100 } from './cifar100.ts';
import type { Dataset, LoadOptions } from './dataset.ts';
import { loadImageFolder } from './image-folder.ts';
import { loadImagenet } from './imagenet.ts';
import { loadMnist } from './mnist.ts';
import { loadWebdataset } from './webdataset.ts';

const LOADERS: ReadonlyMap<string, (options: LoadOptions) => Promise<Dataset>> = new Map([
  ['mnist', loadMnist],
  ['cifar10', loadCifar10],
  ['cifar100', loadCifar100],
  ['imagenet', loadImagenet],
  ['webdataset', loadWebdataset],
  ['image-folder', loadImageFolder],
]);

/** Whether the pictures of a data set have various sizes, so that `imageSize` chooses the one they are framed to. */
export function hasFreeImageSize(name: string): boolean {
  return name === 'imagenet' || name === 'webdataset' || name === 'image-folder';
}

/** Their loaders say what they can fetch when a folder is not there. */
const CAN_DOWNLOAD: readonly string[] = ['cifar10', 'cifar100'];

/** Names that `loadDataset` knows. */
export const DATASET_NAMES: readonly string[] = [...LOADERS.keys()];

/**
 * Loads a data set. A limit takes the first so many images of a split; of encoded pictures, which are often sorted by class,
 * the first in a fixed shuffled order.
 *
 * @throws {BnnError} E_NOT_FOUND for an unknown name or a place that does not exist, and what the loaders throw.
 */
export async function loadDataset(name: string, options: LoadOptions = {}): Promise<Dataset> {
  const load = LOADERS.get(name);
  if (load === undefined) {
    const near = nearest(name, DATASET_NAMES);
    throw new BnnError('E_NOT_FOUND', `unknown data set "${name}", expected one of ${DATASET_NAMES.join(', ')}`, {
      hint: near === undefined ? undefined : `did you mean ${near}?`,
    });
  }
  if (options.dir !== undefined) await assertExists(options.dir, CAN_DOWNLOAD.includes(name));
  return load(options);
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
