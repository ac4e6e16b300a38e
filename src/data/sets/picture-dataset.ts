/** What all data sets of encoded pictures are alike in. */

import type { Dataset, FileSplit } from '../dataset.ts';
import { IMAGENET_STATISTICS } from '../normalization.ts';
import { fingerprintOfPictures } from '../pictures/picture-fingerprint.ts';

/** @param splits  of the same frame. */
export async function pictureDataset(
  facts: Pick<Dataset, 'name' | 'classes' | 'root' | 'notes'>,
  splits: { readonly train: FileSplit; readonly test: FileSplit },
): Promise<Dataset> {
  const { train, test } = splits;
  const { height, width, channels } = train;
  const fingerprint = await fingerprintOfPictures(facts.root, [train, test]);
  return { ...facts, height, width, channels, train, test, ...IMAGENET_STATISTICS, fingerprint };
}
