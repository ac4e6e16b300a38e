/** Where the pictures of a recipe lie. */

import type { LoadOptions } from '../../data/dataset.ts';

/** As loaders take it: none of a folder for what is built in, none of a split where the folder tells. */
export type DataPlace = Required<Pick<LoadOptions, 'dir' | 'split'>>;

export function placeOf({
  data,
  split,
  seed,
}: Readonly<Record<'split' | 'seed', number>> & { readonly data: string }): DataPlace {
  return { dir: data || undefined, split: split > 0 ? { share: split, seed } : undefined };
}
