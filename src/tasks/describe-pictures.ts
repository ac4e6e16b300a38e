/** What pictures a network from elsewhere wants, written into its file as that of a training is. */

import {
  encodePreprocessing,
  NO_DATASET,
  PREPROCESSING_KEY,
  type Preprocessing,
  parsePreprocessing,
} from '../core/pictures/preprocessing.ts';
import type { Model } from '../graph/model.ts';
import { outputFormOf } from '../graph/output-form.ts';
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

/**
 * Writes it into a model that is about to be saved, with what the model's end tells of the numbers that it gives.
 *
 * @returns  what was written.
 */
export function setPreprocessing(model: Model, preprocessing: Preprocessing): Preprocessing {
  const output = outputFormOf(model.graph)(outputsOf(model, preprocessing.classes.length));
  const text = encodePreprocessing({ ...preprocessing, output });
  model.metadata.set(PREPROCESSING_KEY, text);
  return parsePreprocessing(text);
}

/** How many numbers there are for a picture. Where no shape says so, two classes are taken for those that one number decides between. */
function outputsOf(model: Model, classes: number): number {
  const sizes = model.graph.outputs[0]?.shape?.slice(1) ?? ['?'];
  const known = sizes.filter((size) => typeof size === 'number');
  if (known.length === sizes.length) return known.reduce((product, size) => product * size, 1);
  return classes === 2 ? 1 : classes;
}
