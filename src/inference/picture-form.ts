/** What pictures of a model are made to be: what its file says, and what its user says instead. */

import {
  earlierFrame,
  type Fit,
  inputShape,
  type Layout,
  type PictureForm,
  type PictureFrame,
  type Preprocessing,
  pictureFrame,
} from '../core/pictures/preprocessing.ts';
import { type Normalization, resolveNormalization } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import type { Session, TensorInfo } from './session.ts';

export interface PictureOptions {
  /** Instead of what the file says; `dataset` is what the file says. */
  readonly normalize?: Normalization | undefined;
  /** Instead of what the file says. */
  readonly fit?: Fit | undefined;
  /** Side of the square, where neither the file nor its input says a size. */
  readonly imageSize?: number | undefined;
  /** Names of the classes, instead of those in the file. */
  readonly classes?: readonly string[] | undefined;
}

export interface PicturePreparation extends Pick<Preprocessing, 'mean' | 'std' | 'classes'> {
  readonly picture: PictureForm;
}

type Sizes = readonly [height: number | null, width: number | null];

/**
 * How pictures of various sizes are framed for a model of these input sizes; null for as the data set is usually framed.
 *
 * @throws {BnnError} E_SHAPE when file and input disagree.
 */
export function frameOfModel(
  preprocessing: Preprocessing | null,
  [height, width]: Sizes,
  fit: Fit | undefined,
  at: string,
): PictureFrame | null {
  const { picture = null, dataset = '' } = preprocessing ?? {};
  const [h, w] = [height ?? picture?.height, width ?? picture?.width];
  if (h === undefined || w === undefined) return null;
  if (picture !== null && (picture.height !== h || picture.width !== w)) {
    const says = `pictures of ${picture.height}×${picture.width} (height × width)`;
    throw new BnnError('E_SHAPE', `the file says ${says}, its input takes ${h}×${w}`, { at });
  }
  if (fit !== undefined) return pictureFrame(w, h, fit);
  return picture ?? (preprocessing === null ? null : earlierFrame(dataset, w, h));
}

/**
 * @throws {BnnError} E_UNSUPPORTED when the model takes no pictures, or nobody says what they are; the options that say it are in the hint.
 *   E_SHAPE, E_USAGE for what does not fit.
 */
export function preparationOf(
  { inputs, at }: Pick<Session, 'inputs' | 'at'>,
  preprocessing: Preprocessing | null,
  options: PictureOptions = {},
): PicturePreparation {
  const { layout, channels, height, width } = pictureInputOf(inputs, preprocessing, at);
  const sizes: Sizes = [height ?? options.imageSize ?? null, width ?? options.imageSize ?? null];
  const isOther = options.imageSize !== undefined && sizes.some((size) => size !== options.imageSize);
  if (isOther) {
    throw new BnnError('E_USAGE', `image size ${options.imageSize}, but the model takes ${sizes.join('×')} pixels`, {
      at,
      hint: 'leave --image-size out',
    });
  }
  const { mean, std } = statisticsOf(preprocessing, options, channels, at);
  const frame = frameOfModel(preprocessing, sizes, options.fit, at) ?? usualFrame(sizes, at);
  const classes = options.classes ?? preprocessing?.classes ?? [];
  const channelOrder = channels === 1 ? 'grey' : 'RGB';
  return { picture: { ...frame, filter: 'triangle', channelOrder, layout }, mean, std, classes };
}

/** The shape of one prepared picture without its batch. */
export function imageShapeOf({ picture }: PicturePreparation): readonly number[] {
  return inputShape(picture, 1).slice(1);
}

function statisticsOf(
  preprocessing: Preprocessing | null,
  { normalize = 'dataset' }: PictureOptions,
  channels: number,
  at: string,
): Pick<Preprocessing, 'mean' | 'std'> {
  if (normalize !== 'dataset') return resolveNormalization(normalize, { channels, mean: [], std: [] });
  if (preprocessing === null) {
    throw new BnnError('E_UNSUPPORTED', 'the file does not say how its pictures are prepared', {
      at,
      hint: 'say what it was trained with: --normalize imagenet (or none), --fit squash (crop or pad)',
    });
  }
  return resolveNormalization({ mean: preprocessing.mean, std: preprocessing.std }, { channels, mean: [], std: [] });
}

function usualFrame([height, width]: Sizes, at: string): PictureFrame {
  if (height !== null && width !== null) return pictureFrame(width, height, 'crop');
  throw new BnnError('E_UNSUPPORTED', 'the model takes pictures of any size, and the file does not say of which', {
    at,
    hint: 'add --image-size N, e.g. 224',
  });
}

interface AnyPicture {
  readonly layout: Layout;
  readonly channels: number;
  readonly height: number | null;
  readonly width: number | null;
}

function pictureInputOf(inputs: readonly TensorInfo[], preprocessing: Preprocessing | null, at: string): AnyPicture {
  const [input, ...others] = inputs;
  const known = input?.shape.map((size) => (typeof size === 'number' && size > 0 ? size : null)) ?? [];
  if (input !== undefined && others.length === 0 && known.length === 4) {
    const [, a = null, b = null, c = null] = known;
    const isChannels = (size: number | null): size is number => size === 1 || size === 3;
    if (isChannels(a) && preprocessing?.picture?.layout !== 'NHWC') {
      return { layout: 'NCHW', channels: a, height: b, width: c };
    }
    if (isChannels(c)) return { layout: 'NHWC', channels: c, height: a, width: b };
    const channels = preprocessing?.mean.length;
    if (a === null && isChannels(channels ?? null)) {
      return { layout: 'NCHW', channels: channels ?? 3, height: b, width: c };
    }
  }
  const found = inputs.map(({ name, shape }) => `${name}[${shape.join(', ')}]`).join(', ');
  throw new BnnError('E_UNSUPPORTED', `the model takes ${found || 'nothing'}, expected one picture [N, 3, H, W]`, {
    at,
  });
}
