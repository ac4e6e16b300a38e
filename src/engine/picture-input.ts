/** From the pixels of a picture to the input of a network, by what the file says of its pictures. */

import { PREPROCESSING_KEY, type Preprocessing, parsePreprocessing } from '../core/preprocessing.ts';
import { type Rectangle, resize } from '../core/resize.ts';
import { BnnError } from '../errors.ts';
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
  readonly layout: 'NCHW' | 'NHWC';
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

/** The largest middle part with the proportions of the network's input. */
function middleOf({ width, height }: Pixels, input: PictureInput): Rectangle {
  const scale = Math.min(width / input.width, height / input.height);
  const used = {
    width: Math.max(1, Math.round(input.width * scale)),
    height: Math.max(1, Math.round(input.height * scale)),
  };
  return {
    left: Math.floor((width - used.width) / 2),
    top: Math.floor((height - used.height) / 2),
    ...used,
  };
}

/** ITU-R BT.601, as picture libraries turn colours into grey. */
const GREY = [0.299, 0.587, 0.114] as const;

/**
 * Frames, resizes and normalizes a picture.
 *
 * @returns  f32[1, …] in the layout of the input: (pixel / 255 − mean) / std.
 * @throws {BnnError} E_SHAPE for an empty picture.
 */
export function prepare(
  picture: Pixels,
  input: PictureInput,
  { mean, std }: Pick<Preprocessing, 'mean' | 'std'>,
): Float32Array {
  const { width, height, data } = picture;
  if (!(width > 0 && height > 0) || data.length !== 4 * width * height) {
    throw new BnnError('E_SHAPE', `${data.length} bytes for a picture of ${width} x ${height}, expected RGBA`);
  }
  const rgb = resize(data, { width, stride: 4 }, middleOf(picture, input), input, 3);
  const pixels = input.width * input.height;
  const result = new Float32Array(pixels * input.channels);
  for (let p = 0; p < pixels; p++) {
    for (let c = 0; c < input.channels; c++) {
      const raw =
        input.channels === 3 ? (rgb[3 * p + c] ?? 0) : GREY.reduce((sum, g, k) => sum + g * (rgb[3 * p + k] ?? 0), 0);
      const value = (Math.round(raw) / 255 - (mean[c] ?? 0)) / (std[c] ?? 1);
      result[input.layout === 'NCHW' ? c * pixels + p : p * input.channels + c] = value;
    }
  }
  return result;
}

export interface Guess {
  readonly index: number;
  readonly name: string;
  readonly probability: number;
}

/** The most likely classes, most likely first. Scores that are probabilities already (they add up to 1) stay as they are. */
export function guessesOf(scores: Float32Array, classes: readonly string[], top: number): Guess[] {
  const sum = scores.reduce((a, b) => a + b, 0);
  const areProbabilities = Math.abs(sum - 1) < 1e-3 && scores.every((score) => score >= 0);
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = areProbabilities ? scores : scores.map((score) => Math.exp(score - most));
  const total = weights.reduce((a, b) => a + b, 0);
  return Array.from(weights, (weight, index) => ({
    index,
    name: classes[index] ?? `class ${index}`,
    probability: weight / total,
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}
