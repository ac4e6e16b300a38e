/**
 * What is done to pictures before a network sees them. It travels in the model's metadata, so that every runner repeats it; whoever
 * reads pictures (training, validation, prediction, pages) goes by this one description.
 */

import { BnnError } from '../../errors.ts';

/**
 * How a picture of other proportions becomes one of the network's. `crop`: the shorter side is resized to `shorterSide`, and the middle
 * cut out. `squash`: both sides are resized, each by its own ratio. `pad`: all of the picture, in its proportions, in the middle of
 * black.
 */
export const FITS = ['crop', 'squash', 'pad'] as const;
export type Fit = (typeof FITS)[number];

export interface PictureFrame {
  /** In pixels, of what the network sees. */
  readonly width: number;
  readonly height: number;
  readonly fit: Fit;
  /** In pixels, at least the shorter side of the result; null where nothing is cropped. */
  readonly shorterSide: number | null;
}

export const CHANNEL_ORDERS = ['RGB', 'grey'] as const;
export type ChannelOrder = (typeof CHANNEL_ORDERS)[number];
export const LAYOUTS = ['NCHW', 'NHWC'] as const;
export type Layout = (typeof LAYOUTS)[number];

export interface PictureForm extends PictureFrame {
  /** A triangle as wide as the shrinking, at least two pixels: bilinear, and antialiased where it shrinks (`resize.ts`). */
  readonly filter: 'triangle';
  readonly channelOrder: ChannelOrder;
  readonly layout: Layout;
}

/**
 * What the numbers mean that a classifier gives. `probabilities` are between 0 and 1 and those of softmax add up to 1; `signed` numbers are a
 * probability p as 2p − 1.
 */
export const OUTPUT_FORMS = ['logits', 'probabilities', 'signed'] as const;
export type OutputForm = (typeof OUTPUT_FORMS)[number];

export interface Preprocessing {
  readonly dataset: string;
  /** Null in files of earlier versions, which do not say. */
  readonly picture: PictureForm | null;
  /** Per channel, of pixels / 255: the network sees (pixel / 255 − mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly classes: readonly string[];
  /** For runtimes that do not look at the graph; logits unless told. */
  readonly output?: OutputForm | undefined;
}

/** In place of a data set's name, in the file of a network from elsewhere. */
export const NO_DATASET = 'unknown';

export const PREPROCESSING_KEY = 'bnn.preprocessing';

/** The usual evaluation of ImageNet, shorter side to 256 of which the middle 224 are used, kept for other sizes. */
const CROP_RATIO = 256 / 224;
/** Data sets that versions without `picture` framed so; all others have pictures of one size. */
const FRAMED_DATASETS = ['imagenet', 'webdataset', 'image-folder'];
const LARGEST_SIDE = 2 ** 16;
/** Of what a network sees, many times what any does; larger ones would take all memory. */
const MOST_PIXELS = 2 ** 24;

/** @param fit  `crop` takes the middle 7/8, as the usual evaluation does. */
export function pictureFrame(width: number, height: number, fit: Fit): PictureFrame {
  const shorterSide = fit === 'crop' ? Math.round(Math.min(width, height) * CROP_RATIO) : null;
  return { width, height, fit, shorterSide };
}

/** As large a middle part as there is: for data sets whose pictures have that size already. */
export function wholeFrame(width: number, height: number): PictureFrame {
  return { width, height, fit: 'crop', shorterSide: Math.min(width, height) };
}

/** What earlier versions did, by the data set that a network was trained on. */
export function earlierFrame(dataset: string, width: number, height: number): PictureFrame {
  return FRAMED_DATASETS.includes(dataset) ? pictureFrame(width, height, 'crop') : wholeFrame(width, height);
}

/** One flat object; `parsePreprocessing` reads it back. */
export function encodePreprocessing(
  {
    dataset,
    picture = null,
    mean,
    std,
    classes,
    output = 'logits',
  }: Omit<Preprocessing, 'picture'> & Partial<Preprocessing>,
  indent?: number,
): string {
  const end = output === 'logits' ? {} : { output };
  if (picture === null) return JSON.stringify({ dataset, mean, std, classes, ...end }, null, indent);
  const { width, height, fit, shorterSide, filter, channelOrder, layout } = picture;
  const form = { size: { width, height }, fit, shorterSide, filter, channelOrder, layout };
  return JSON.stringify({ dataset, ...form, mean, std, classes, ...end }, null, indent);
}

/**
 * @throws {BnnError} E_FORMAT when the metadata entry is not what `encodePreprocessing` writes, or nobody could do what it says
 *   (a standard deviation of 0, a size of no pixels).
 */
export function parsePreprocessing(text: string, at?: string): Preprocessing {
  const refuse = (why: string): never => {
    throw new BnnError('E_FORMAT', `the metadata entry ${PREPROCESSING_KEY} is not readable: ${why}`, {
      at,
      hint: 'write the file again with bnn-export, or correct the entry',
    });
  };
  const found = parseObject(text) ?? refuse('it is no JSON object');
  const { dataset, classes } = found;
  if (typeof dataset !== 'string') return refuse(`dataset is ${shown(dataset)}, expected a text`);
  if (!Array.isArray(classes) || !classes.every((name) => typeof name === 'string')) {
    return refuse('classes are no list of texts');
  }
  const numbers = (name: 'mean' | 'std', isFine: (value: number) => boolean, expected: string): number[] => {
    const values = found[name];
    if (!Array.isArray(values) || values.length === 0) return refuse(`${name} is ${shown(values)}, expected a list`);
    const bad = values.findIndex((value) => typeof value !== 'number' || !isFine(value));
    return bad < 0 ? values : refuse(`${name} of channel ${bad} is ${shown(values[bad])}, expected ${expected}`);
  };
  const mean = numbers('mean', Number.isFinite, 'a number');
  const std = numbers('std', (value) => Number.isFinite(value) && value > 0, 'a number above 0');
  if (mean.length !== std.length) return refuse(`${mean.length} means and ${std.length} standard deviations`);
  const picture = found['size'] === undefined ? null : parseForm(found, refuse);
  const channels = picture === null ? mean.length : channelsOf(picture);
  if (mean.length !== channels) return refuse(`${mean.length} means for ${channels} channels`);
  const output = OUTPUT_FORMS.find((form) => form === (found['output'] ?? 'logits'));
  if (output === undefined) {
    return refuse(`output is ${shown(found['output'])}, expected ${OUTPUT_FORMS.join(' or ')}`);
  }
  return { dataset, picture, mean, std, classes, ...(output === 'logits' ? {} : { output }) };
}

export function channelsOf({ channelOrder }: Pick<PictureForm, 'channelOrder'>): number {
  return channelOrder === 'grey' ? 1 : 3;
}

/** The shape of a batch of prepared pictures. */
export function inputShape({ width, height, layout, channelOrder }: PictureForm, count: number): number[] {
  const channels = channelsOf({ channelOrder });
  return layout === 'NCHW' ? [count, channels, height, width] : [count, height, width, channels];
}

function parseForm(found: Readonly<Record<string, unknown>>, refuse: (why: string) => never): PictureForm {
  const one = <T extends string>(name: string, choices: readonly T[]): T => {
    const value = choices.find((choice) => choice === found[name]);
    return value ?? refuse(`${name} is ${shown(found[name])}, expected ${choices.join(' or ')}`);
  };
  const isSide = (value: unknown): value is number =>
    Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= LARGEST_SIDE;
  const { width, height } = Object(found['size']) as { readonly width?: unknown; readonly height?: unknown };
  if (!isSide(width) || !isSide(height)) return refuse(`size is ${shown(found['size'])}, expected width and height`);
  if (width * height > MOST_PIXELS) return refuse(`size is ${width}×${height}, expected at most ${MOST_PIXELS} pixels`);
  const fit = one('fit', FITS);
  const shorterSide = found['shorterSide'] ?? null;
  const isFine = fit === 'crop' ? isSide(shorterSide) && shorterSide >= Math.min(width, height) : shorterSide === null;
  if (!isFine) return refuse(`shorterSide is ${shown(shorterSide)} with fit ${fit} to ${width}×${height}`);
  return {
    ...{ width, height, fit, shorterSide: shorterSide as number | null },
    filter: one('filter', ['triangle']),
    channelOrder: one('channelOrder', CHANNEL_ORDERS),
    layout: one('layout', LAYOUTS),
  };
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}
