/** Checks of the numbers that a caller passes to the loaders. */

import { BnnError } from '../../errors.ts';

/**
 * A limit on the number of images; Infinity when none is given.
 *
 * @throws {BnnError} E_USAGE for what is not a whole number ≥ 0.
 */
export function limitOf(name: 'limitTrain' | 'limitTest', value: number | undefined): number {
  if (value === undefined) return Infinity;
  if (!Number.isSafeInteger(value) || value < 0) {
    const flag = name === 'limitTrain' ? '--limit-train' : '--limit-test';
    throw new BnnError('E_USAGE', `${name} is ${value}, expected a whole number of images`, {
      hint: `e.g. ${flag} 1000`,
    });
  }
  return value;
}

/**
 * For data sets whose pictures have one size.
 *
 * @throws {BnnError} E_USAGE when another size is asked for.
 */
export function refuseImageSize(dataset: string, size: number, asked: number | undefined): void {
  if (asked === undefined || asked === size) return;
  throw new BnnError(
    'E_USAGE',
    `image size ${asked} asked for, but the pictures of ${dataset} have ${size}x${size} pixels`,
    {
      hint: 'leave the image size out, or use the data set image-folder',
    },
  );
}
