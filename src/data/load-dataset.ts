/** The data sets by name. */

import { nearest } from '../core/nearest.ts';
import { BnnError } from '../errors.ts';
import { loadCifar10 } from './cifar10.ts';
import type { Dataset, LoadOptions } from './dataset.ts';
import { loadImageFolder } from './image-folder.ts';
import { loadMnist } from './mnist.ts';

const LOADERS: ReadonlyMap<string, (options: LoadOptions) => Promise<Dataset>> = new Map([
  ['mnist', loadMnist],
  ['cifar10', loadCifar10],
  ['image-folder', loadImageFolder],
]);

/** Names that `loadDataset` knows. */
export const DATASET_NAMES: readonly string[] = [...LOADERS.keys()];

/**
 * Loads a data set. A limit takes the first so many images of a split; of an image folder, which is sorted by class, the first in a
 * fixed shuffled order.
 *
 * @throws {BnnError} E_NOT_FOUND for an unknown name, and what the loaders throw.
 */
export async function loadDataset(name: string, options: LoadOptions = {}): Promise<Dataset> {
  const load = LOADERS.get(name);
  if (load === undefined) {
    const near = nearest(name, DATASET_NAMES);
    throw new BnnError('E_NOT_FOUND', `unknown data set "${name}", expected one of ${DATASET_NAMES.join(', ')}`, {
      hint: near === undefined ? undefined : `did you mean ${near}?`,
    });
  }
  return load(options);
}
