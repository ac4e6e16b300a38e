/** What pictures a network from elsewhere wants, written into its file as that of a training is. */

import {
  encodePreprocessing,
  NO_DATASET,
  PREPROCESSING_KEY,
  type Preprocessing,
  parsePreprocessing,
} from '../core/pictures/preprocessing.ts';
import type { Model } from '../graph/model.ts';
import { type PictureOptions, preparationOf } from '../inference/picture-form.ts';

/** What the file says; null where it says nothing. */
export function preprocessingOf(model: Model, at: string): Preprocessing | null {
  const text = model.metadata.get(PREPROCESSING_KEY);
  return text === undefined ? null : parsePreprocessing(text, at);
}

/**
 * What the options say of a network's pictures, and where they are silent, its file.
 *
 * @throws {BnnError} E_UNSUPPORTED when the network takes no pictures, or neither says how they are normalized; E_USAGE, E_SHAPE for what
 *   does not fit its input.
 */
export function describePictures(model: Model, options: PictureOptions, at: string): Preprocessing {
  const found = preprocessingOf(model, at);
  const inputs = model.graph.inputs.map(({ name, dtype, shape }) => ({
    name,
    dtype: dtype ?? 'float32',
    shape: (shape ?? []).map((size) => size ?? '?'),
  }));
  const { picture, mean, std, classes } = preparationOf({ inputs, at }, found, options);
  return { dataset: found?.dataset ?? NO_DATASET, picture, mean, std, classes };
}

export function setPreprocessing(model: Model, preprocessing: Preprocessing): void {
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(preprocessing));
}
