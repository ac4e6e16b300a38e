/** Classes of pictures in files and folders, by any model that a session opens. */

import { stat } from 'node:fs/promises';
import { listPictures } from '../data/folders/class-folders.ts';
import { LeftOut } from '../data/folders/left-out.ts';
import { BnnError } from '../errors.ts';
import { type Classifier, createClassifier, type Guess } from '../inference/classify.ts';
import { findModel } from '../inference/model-source-io.ts';
import { type OpenOptions, openSession } from '../inference/open-session.ts';
import type { PictureOptions } from '../inference/picture-form.ts';

export interface PredictOptions extends OpenOptions, PictureOptions {
  /** An ONNX file, or a run folder. */
  readonly model: string;
  /** Files, and folders that are searched for pictures. */
  readonly pictures: readonly string[];
  /** Classes of each picture; 5 unless told. */
  readonly top?: number | undefined;
  /** How many pictures there are, before the first is looked at. */
  readonly onFiles?: ((count: number) => void) | undefined;
  readonly onPicture?: ((picture: PredictedPicture) => void) | undefined;
  /** A picture that could not be read or decoded; the others go on. */
  readonly onBroken?: ((picture: BrokenPicture) => void) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly onNote?: ((note: string) => void) | undefined;
}

export interface PredictedPicture {
  readonly picture: string;
  /** Most likely first. */
  readonly guesses: readonly Guess[];
}

export interface BrokenPicture {
  readonly picture: string;
  readonly code: BnnError['code'];
  readonly message: string;
}

export interface Prediction {
  /** The ONNX file that ran. */
  readonly model: string;
  readonly pictures: number;
  readonly broken: number;
}

/** Pictures that are decoded together and run as one batch, where the model takes any. */
const AT_ONCE = 16;
/** Of all that are decoded together. */
const PIXELS_AT_ONCE = 2 ** 22;
/** Of one picture; anything else ends all. */
const OF_A_PICTURE: readonly BnnError['code'][] = ['E_FORMAT', 'E_NOT_FOUND', 'E_IO', 'E_UNSUPPORTED'];

/**
 * Classifies pictures, in the order in which they are given; of a folder, sorted by name. They are prepared as the file says, unless the
 * options say otherwise.
 *
 * @throws {BnnError} E_NOT_FOUND when there is no model or no picture; E_UNSUPPORTED when the model takes no pictures or does not say
 *   how they are prepared; what loading and running throw.
 */
export async function predictPictures(options: PredictOptions): Promise<Prediction> {
  const { top = 5, onPicture, onBroken, onProgress, onNote } = options;
  const { path } = await findModel(options.model);
  const files = await findFiles(options.pictures, onNote);
  options.onFiles?.(files.length);
  const session = await openSession(path, options);
  try {
    const classifier = await createClassifier(session, options);
    if (classifier.preparation.classes.length === 0) {
      onNote?.('the model has no names of classes; --classes FILE gives them, one a line');
    }
    let broken = 0;
    const { width, height } = classifier.preparation.picture;
    const atOnce = Math.max(1, Math.min(AT_ONCE, Math.floor(PIXELS_AT_ONCE / (width * height))));
    for (let from = 0; from < files.length; from += atOnce) {
      const some = files.slice(from, from + atOnce);
      const decoded = await Promise.all(some.map((file) => decodeOne(classifier, file)));
      const good = decoded.filter((result) => result instanceof Uint8Array);
      const guesses = good.length === 0 ? [] : await classifier.classify(good, top);
      let next = 0;
      for (const [i, result] of decoded.entries()) {
        const picture = some[i] ?? '';
        if (result instanceof Uint8Array) onPicture?.({ picture, guesses: guesses[next++] ?? [] });
        else {
          broken++;
          onBroken?.({ picture, code: result.code, message: result.message });
        }
      }
      onProgress?.(Math.min(files.length, from + atOnce), files.length);
    }
    return { model: path, pictures: files.length - broken, broken };
  } finally {
    await session.dispose();
  }
}

async function decodeOne(classifier: Classifier, file: string): Promise<Uint8Array | BnnError> {
  try {
    return await classifier.decode(file);
  } catch (error) {
    if (error instanceof BnnError && OF_A_PICTURE.includes(error.code)) return error;
    throw error;
  }
}

/** A file that is named is taken, whatever it is; of a folder, the pictures. */
async function findFiles(sources: readonly string[], onNote: PredictOptions['onNote']): Promise<string[]> {
  const leftOut = new LeftOut();
  const files: string[] = [];
  for (const source of sources) {
    const facts = await stat(source).catch(() => undefined);
    const isFolder = facts?.isDirectory() === true;
    // Not by spreading: there may be more than a call takes arguments.
    for (const file of isFolder ? await listPictures(source, leftOut) : [source]) files.push(file);
  }
  if (leftOut.count > 0) onNote?.(`not taken: ${leftOut}; e.g. ${leftOut.example}`);
  if (files.length > 0) return files;
  throw new BnnError('E_NOT_FOUND', 'there are no pictures', {
    at: sources.join(', ') || undefined,
    hint: 'name pictures, or folders that hold some',
  });
}
