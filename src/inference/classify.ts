/** Pictures to classes, one by one or many at once: the same decisions as of validation. */

import { readRegularFile } from '../core/files/regular-file-io.ts';
import { framePicture } from '../core/pictures/frame-picture.ts';
import { normalizePixels } from '../core/pictures/prepare-picture.ts';
import { decodeImage } from '../data/pictures/decode-image.ts';
import { MOST_PICTURE_BYTES } from '../data/pictures/picture-source.ts';
import type { Guess } from '../engine/picture-input.ts';
import { BnnError } from '../errors.ts';
import { classLogits, classProbabilities } from '../graph/output-form.ts';
import { runImages } from './image-input.ts';
import type { OpenedSession } from './open-session.ts';
import { imageShapeOf, type PictureOptions, type PicturePreparation, preparationOf } from './picture-form.ts';

export type { Guess };

export interface ClassifyOptions extends PictureOptions {
  /** The most likely classes; 5 unless told. */
  readonly top?: number | undefined;
}

export interface Classifier {
  readonly preparation: PicturePreparation;
  /** A fixed batch size, or null when any is taken. */
  readonly batch: number | null;
  /**
   * @returns  u8[height][width][3] as the model sees it, before it is normalized.
   * @throws {BnnError} E_FORMAT when it cannot be decoded; for a path, E_NOT_FOUND or E_IO when it cannot be read.
   */
  decode(picture: string | Uint8Array): Promise<Uint8Array>;
  /** The most likely classes of each decoded picture, most likely first. */
  classify(pictures: readonly Uint8Array[], top: number): Promise<Guess[][]>;
}

/**
 * Makes ready what all pictures share.
 *
 * @throws {BnnError} E_UNSUPPORTED when the model takes no pictures or nobody says how they are prepared; E_SHAPE, E_USAGE for options
 *   that do not fit it.
 */
export async function createClassifier(session: OpenedSession, options: PictureOptions = {}): Promise<Classifier> {
  const { preprocessing, formOf } = await session.facts();
  const preparation = preparationOf(session, preprocessing, options);
  const { picture } = preparation;
  const image = imageShapeOf(preparation);
  const size = image.reduce((product, side) => product * side, 1);
  const [first] = session.inputs[0]?.shape ?? [];
  const batch = typeof first === 'number' && first > 0 ? first : null;

  const run = async (pictures: readonly Uint8Array[], top: number): Promise<Guess[][]> => {
    const x = new Float32Array(pictures.length * size);
    for (const [i, rgb] of pictures.entries()) normalizePixels(rgb, picture, preparation, x, i * size);
    const { data, shape } = await runImages(session, x, pictures.length, image, batch);
    const outputs = shape[1] ?? 0;
    const form = formOf(outputs);
    const logits = classLogits(data, outputs, form);
    const shares = classProbabilities(data, outputs, form);
    const count = logits.length / pictures.length;
    checkNames(preparation.classes, count, session.at);
    return pictures.map((_, i) => guess(logits, shares, i * count, count, preparation.classes).slice(0, top));
  };
  return {
    preparation,
    batch,
    decode: async (source) => {
      const isPath = typeof source === 'string';
      const bytes = isPath ? await readRegularFile(source, { mostBytes: MOST_PICTURE_BYTES }) : source;
      return decodeImage(bytes, isPath ? source : 'picture', (width, height) => framePicture(width, height, picture));
    },
    classify: run,
  };
}

/**
 * The most likely classes of a picture, most likely first. It is prepared as the file says, unless the options say otherwise.
 *
 * @param picture  path of a JPEG, PNG, WebP … file, or its bytes.
 * @throws {BnnError} as `createClassifier`, and E_FORMAT, E_NOT_FOUND or E_IO for a picture that cannot be decoded or read.
 */
export async function classify(
  session: OpenedSession,
  picture: string | Uint8Array,
  options: ClassifyOptions = {},
): Promise<readonly Guess[]> {
  const { top = 5 } = options;
  const classifier = await createClassifier(session, options);
  const [guesses = []] = await classifier.classify([await classifier.decode(picture)], top);
  return guesses;
}

/** Of equal ones the first, as in validation. */
function guess(
  logits: ArrayLike<number>,
  shares: ArrayLike<number>,
  from: number,
  count: number,
  names: readonly string[],
): Guess[] {
  const order = Array.from({ length: count }, (_, i) => i);
  order.sort((a, b) => (logits[from + b] ?? 0) - (logits[from + a] ?? 0) || a - b);
  return order.map((index) => ({
    index,
    name: names[index] ?? `class ${index}`,
    probability: shares[from + index] ?? Number.NaN,
  }));
}

function checkNames(names: readonly string[], classes: number, at: string): void {
  if (names.length === 0 || names.length === classes) return;
  throw new BnnError('E_SHAPE', `${names.length} names of classes, the model tells ${classes} apart`, { at });
}
