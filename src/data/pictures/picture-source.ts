/**
 * Where the encoded pictures of a split lie: files of their own, or byte ranges of a few large files. Both are kept on shared memory,
 * so that a million pictures cost their paths once, however many threads read them.
 */

import { openRegularFile, readInto, readRegularFile } from '../../core/files/regular-file-io.ts';
import { BnnError, fromSystemError } from '../../errors.ts';
import { createSharedBytes, createSharedFloats, createSharedInts } from '../shared-memory.ts';

/** An encoded picture. The largest that is decoded takes 200 MB when it is not compressed at all. */
export const MOST_PICTURE_BYTES = 2 ** 28;

/** Strings on shared memory. */
export interface TextList {
  readonly count: number;
  /** UTF-8, one after another. */
  readonly text: Uint8Array;
  /** f64[count + 1]: where each begins in `text`; the last is its end. */
  readonly begins: Float64Array;
}

/** Picture i is the file `paths[i]`, absolute. */
export interface PictureFiles {
  readonly kind: 'files';
  readonly paths: TextList;
}

/** Picture i lies at bytes `offsets[i]` … `offsets[i] + sizes[i]` of `shards[shardOf[i]]`. */
export interface PictureRanges {
  readonly kind: 'ranges';
  /** Absolute paths. */
  readonly shards: readonly string[];
  readonly shardOf: Int32Array;
  readonly offsets: Float64Array;
  readonly sizes: Float64Array;
  /** What a picture is called inside its shard. */
  readonly names: TextList;
}

export type PictureSource = PictureFiles | PictureRanges;

export function packTexts(texts: readonly string[]): TextList {
  const count = texts.length;
  const begins = createSharedFloats(count + 1);
  let length = 0;
  for (const [i, text] of texts.entries()) {
    begins[i] = length;
    length += Buffer.byteLength(text);
  }
  begins[count] = length;
  const bytes = createSharedBytes(length);
  const view = Buffer.from(bytes.buffer, 0, length);
  for (const [i, text] of texts.entries()) view.write(text, begins[i] ?? 0);
  return { count, text: bytes, begins };
}

export function textAt({ text, begins }: TextList, i: number): string {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  return bytes.toString('utf8', begins[i], begins[i + 1]);
}

/** How a message calls picture i. */
export function pictureName(source: PictureSource, i: number): string {
  if (source.kind === 'files') return textAt(source.paths, i);
  return `${source.shards[source.shardOf[i] ?? 0]} > ${textAt(source.names, i)}`;
}

/**
 * @throws {BnnError} E_FORMAT for a file too large to be a picture; E_NOT_FOUND, E_IO or E_UNSUPPORTED with the path when it cannot be
 *   read, also because a shard has become shorter than its index.
 */
export async function readPicture(source: PictureSource, i: number): Promise<Uint8Array> {
  if (source.kind === 'files') return readRegularFile(textAt(source.paths, i), { mostBytes: MOST_PICTURE_BYTES });
  const [path = '', size = 0, offset = 0] = [source.shards[source.shardOf[i] ?? 0], source.sizes[i], source.offsets[i]];
  if (size > MOST_PICTURE_BYTES) {
    const message = `a file of ${size} bytes, at most ${MOST_PICTURE_BYTES} are read`;
    throw new BnnError('E_FORMAT', message, { at: pictureName(source, i) });
  }
  const { handle } = await openRegularFile(path);
  try {
    const bytes = new Uint8Array(size);
    if ((await readInto(handle, bytes, offset)) === size) return bytes;
    throw new BnnError('E_IO', 'the file has become shorter since it was opened', {
      at: pictureName(source, i),
      hint: 'start again when it is complete',
    });
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  } finally {
    await handle.close();
  }
}

/** The pictures with the given indices, in that order. */
export function selectPictures(source: PictureSource, indices: ArrayLike<number>): PictureSource {
  const texts = (list: TextList): TextList => packTexts(Array.from(indices, (i) => textAt(list, i)));
  if (source.kind === 'files') return { kind: 'files', paths: texts(source.paths) };
  const ints = (values: Int32Array): Int32Array => {
    const some = createSharedInts(indices.length);
    for (let i = 0; i < some.length; i++) some[i] = values[indices[i] ?? 0] ?? 0;
    return some;
  };
  const floats = (values: Float64Array): Float64Array => {
    const some = createSharedFloats(indices.length);
    for (let i = 0; i < some.length; i++) some[i] = values[indices[i] ?? 0] ?? 0;
    return some;
  };
  return {
    ...source,
    shardOf: ints(source.shardOf),
    sizes: floats(source.sizes),
    offsets: floats(source.offsets),
    names: texts(source.names),
  };
}
