/** What was done to pictures before a network saw them. It travels in the model's metadata, so that every runner repeats it. */

import { BnnError } from '../errors.ts';

export interface Preprocessing {
  readonly dataset: string;
  /** Per channel, of pixels / 255: the network sees (pixel / 255 − mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly classes: readonly string[];
}

export const PREPROCESSING_KEY = 'bnn.preprocessing';

export function encodePreprocessing(preprocessing: Preprocessing): string {
  return JSON.stringify(preprocessing);
}

/** @throws {BnnError} E_FORMAT when the metadata entry is not what `encodePreprocessing` writes. */
export function parsePreprocessing(text: string, at?: string): Preprocessing {
  try {
    const { dataset, mean, std, classes } = JSON.parse(text) as Partial<Preprocessing>;
    const isNumbers = (value: unknown) => Array.isArray(value) && value.every((x) => typeof x === 'number');
    if (typeof dataset === 'string' && isNumbers(mean) && isNumbers(std) && Array.isArray(classes)) {
      return { dataset, mean: mean ?? [], std: std ?? [], classes };
    }
  } catch {
    // Falls through to the same error.
  }
  throw new BnnError('E_FORMAT', `the metadata entry ${PREPROCESSING_KEY} is not readable`, { at });
}
