/**
 * Where the encoded pictures of a split lie: files of their own, or byte ranges of a few large files. Both are kept on shared memory,
 * so that a million pictures cost their paths once, however many threads read them.
 */

import { open } from 'node:fs/promises';
import { BnnError, fromSystemError } from '../errors.ts';
import { createSharedBytes, createSharedFloats, createSharedInts } from './shared-memory.ts';
import { readBytes } from './source-files.ts';

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
  readonly sizes: Int32Array;
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

/** @throws {BnnError} E_NOT_FOUND or E_IO with the path; E_FORMAT when a shard has become shorter than its index. */
export async function readPicture(source: PictureSource, i: number): Promise<Uint8Array> {
  if (source.kind === 'files') return readBytes(textAt(source.paths, i));
  const path = source.shards[source.shardOf[i] ?? 0] ?? '';
  const bytes = new Uint8Array(source.sizes[i] ?? 0);
  if (bytes.length === 0) return bytes;
  try {
    const file = await open(path);
    try {
      let done = 0;
      while (done < bytes.length) {
        const { bytesRead } = await file.read(bytes, done, bytes.length - done, (source.offsets[i] ?? 0) + done);
        if (bytesRead === 0) {
          throw new BnnError('E_FORMAT', 'the file has become shorter since it was opened', {
            at: pictureName(source, i),
            hint: 'start again when it is complete',
          });
        }
        done += bytesRead;
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  }
  return bytes;
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
  const offsets = createSharedFloats(indices.length);
  for (let i = 0; i < offsets.length; i++) offsets[i] = source.offsets[indices[i] ?? 0] ?? 0;
  return {
    ...source,
    shardOf: ints(source.shardOf),
    sizes: ints(source.sizes),
    offsets,
    names: texts(source.names),
  };
}
