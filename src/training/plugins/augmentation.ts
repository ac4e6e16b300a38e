/** Augmentations of plug-ins: functions that change the pixels of a picture before it is padded, cropped, flipped and normalized. */

import type { Fields, ValuesOf } from '../../core/field.ts';
import { nearest } from '../../core/nearest.ts';
import { Rng } from '../../core/numbers/rng.ts';
import { namesOf, rowNamed } from '../../core/row-named.ts';
import type { PictureChange } from '../../data/batches/batch-maker.ts';
import type { Dataset } from '../../data/dataset.ts';
import { BnnError } from '../../errors.ts';
import { type Recipe, valuesOf } from '../recipes/recipe.ts';
import { listed } from '../recipes/recipe-choices.ts';

/** One picture, for its augmentation alone. */
export interface AugmentedPicture {
  /** u8[height][width][channels]; to be changed in place. */
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface AugmentationRow<N extends string = string, F extends Fields = Fields> {
  readonly name: N;
  /** Of the recipe. */
  readonly fields: F;
  /**
   * What is done to each training picture.
   *
   * `random` depends on seed, epoch and picture alone: with no other randomness, a resumed run sees the same pictures.
   */
  create(values: ValuesOf<F>): (picture: AugmentedPicture, random: Rng) => void;
}

/** @throws {BnnError} E_USAGE for a name that no plug-in has. */
export function checkAugmentations({ augment }: Recipe, rows: readonly AugmentationRow[]): void {
  const names = namesOf(rows);
  const unknown = listed(augment).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const near = nearest(unknown, names);
  const known = names.length === 0 ? 'give a plug-in with it: --plugin FILE' : `known: ${names.join(', ')}`;
  throw new BnnError('E_USAGE', `augment is "${augment}", and no augmentation is called "${unknown}"`, {
    hint: near === undefined ? known : `did you mean "${near}"?`,
  });
}

/** Keeps their random numbers apart from those of crops and flips. */
const STREAM = 0x61756772;

/** Undefined where the recipe has none. */
export function pictureChangeOf(
  recipe: Recipe,
  rows: readonly AugmentationRow[],
  { height, width, channels }: Pick<Dataset, 'height' | 'width' | 'channels'>,
): PictureChange | undefined {
  const changes = listed(recipe.augment).map((name) => rowNamed(rows, name).create(valuesOf(recipe)));
  if (changes.length === 0) return undefined;
  return (pixels, epoch, sample) => {
    for (const [i, change] of changes.entries()) {
      change({ pixels, height, width, channels }, new Rng(recipe.seed, epoch, sample, STREAM, i));
    }
  };
}
