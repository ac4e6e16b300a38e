/** From the pixels of a picture to the input of a network, by what the file says of its pictures. */

import { framePicture } from '../core/pictures/frame-picture.ts';
import { framePixels, normalizePixels } from '../core/pictures/prepare-picture.ts';
import {
  earlierFrame,
  type Layout,
  type PictureFrame,
  PREPROCESSING_KEY,
  type Preprocessing,
  parsePreprocessing,
} from '../core/pictures/preprocessing.ts';
import { BnnError } from '../errors.ts';
import { classProbabilities, type OutputForm } from '../graph/output-form.ts';
import type { EngineTensorInfo } from './engine-session.ts';

/** RGBA pixels, as `ImageData` holds them. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** u8[height][width][4]. */
  readonly data: ArrayLike<number>;
}

/** What a network for pictures takes. */
export interface PictureInput {
  readonly layout: Layout;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** @throws {BnnError} E_UNSUPPORTED when the input is no picture of a known size. */
export function pictureInputOf({ name, shape }: EngineTensorInfo): PictureInput {
  const [, a, b, c] = shape;
  const isChannels = (size: unknown): size is number => size === 1 || size === 3;
  const isSize = (size: unknown): size is number => typeof size === 'number' && size > 0;
  if (shape.length === 4 && isChannels(a) && isSize(b) && isSize(c)) {
    return { layout: 'NCHW', channels: a, height: b, width: c };
  }
  if (shape.length === 4 && isSize(a) && isSize(b) && isChannels(c)) {
    return { layout: 'NHWC', channels: c, height: a, width: b };
  }
  throw new BnnError('E_UNSUPPORTED', `the input ${name} is [${shape.join(', ')}], expected a picture [N, 3, H, W]`);
}

/** @throws {BnnError} E_UNSUPPORTED when the file does not say. */
export function preprocessingOf(metadata: ReadonlyMap<string, string>): Preprocessing {
  const text = metadata.get(PREPROCESSING_KEY);
  if (text !== undefined) return parsePreprocessing(text);
  throw new BnnError('E_UNSUPPORTED', 'the file does not say how its pictures are prepared', {
    hint: 'bnn-train writes it; a page of your own may give it: createSession(model, { preprocessing: { mean, std, classes } })',
  });
}

/** How pictures are framed for an input: as the file says, or as the versions did that did not write it. */
export function frameFor(input: PictureInput, { dataset = '', picture = null }: Partial<Preprocessing>): PictureFrame {
  if (picture === null) return earlierFrame(dataset, input.width, input.height);
  if (picture.width === input.width && picture.height === input.height) return picture;
  const says = `${picture.width} x ${picture.height}`;
  throw new BnnError('E_SHAPE', `the file says pictures of ${says}, its input is ${input.width} x ${input.height}`);
}

/**
 * Frames, resizes and normalizes a picture.
 *
 * @returns  f32[1, …] in the layout of the input: (pixel / 255 − mean) / std.
 * @throws {BnnError} E_SHAPE for an empty picture, and for a description that does not fit the input.
 */
export function prepare(
  picture: Pixels,
  input: PictureInput,
  preprocessing: Pick<Preprocessing, 'mean' | 'std'> & Partial<Preprocessing>,
): Float32Array {
  const { width, height, data } = picture;
  if (!(width > 0 && height > 0) || data.length !== 4 * width * height) {
    throw new BnnError('E_SHAPE', `${data.length} bytes for a picture of ${width} x ${height}, expected RGBA`);
  }
  const framing = framePicture(width, height, frameFor(input, preprocessing));
  const rgb = framePixels(data, { width, height, stride: 4 }, framing);
  return normalizePixels(
    rgb,
    { layout: input.layout, channelOrder: input.channels === 1 ? 'grey' : 'RGB' },
    preprocessing,
  );
}

export interface Guess {
  readonly index: number;
  readonly name: string;
  readonly probability: number;
}

/**
 * The most likely classes, most likely first.
 *
 * @param scores  what the network gives for one picture: a number for each class, or one that decides between two.
 * @param form    what they mean.
 * @throws {BnnError} E_NUMERIC where a number is NaN.
 */
export function guessesOf(scores: Float32Array, form: OutputForm, classes: readonly string[], top: number): Guess[] {
  if (scores.some(Number.isNaN)) {
    throw new BnnError('E_NUMERIC', 'the model gives NaN for the picture', { hint: 'did the training diverge?' });
  }
  return Array.from(classProbabilities(scores, scores.length, form), (probability, index) => ({
    index,
    name: classes[index] ?? `class ${index}`,
    probability,
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}
