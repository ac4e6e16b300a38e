/** IDX files, gzipped or not (`idx-layout.ts`). */

import { constants, gunzipSync } from 'node:zlib';
import { BnnError, systemErrorCode } from '../../errors.ts';
import { type Idx, parseHeader, sizesOf } from './idx-layout.ts';

/** Of compressed bytes, whose beginning holds the header whatever names and tables stand before it. */
const HEAD_BYTES = 1 << 16;
/** Deflate at its best, with room for the header of gzip. */
const MOST_RATIO = 1032;
/** EMNIST, the largest set in this format, has 547 MB. */
const MOST_ELEMENTS = 600_000_000;

/**
 * Decodes an IDX file of unsigned bytes, gzipped or not. What is gzipped takes no more memory than its header asks for.
 *
 * @param at    the file's name, for messages.
 * @param rank  the number of dimensions that the caller expects.
 * @throws {BnnError} E_FORMAT with expected and found sizes; E_UNSUPPORTED for element types other than unsigned byte and for more than
 *   600 million elements.
 */
export function decodeIdx(file: Uint8Array, rank: number, at: string): Idx {
  const isPacked = file[0] === 0x1f && file[1] === 0x8b;
  const head = isPacked ? gunzipHead(file, at) : file;
  const shape = parseHeader(head, rank, at);
  const { headerBytes, fileBytes: expectedBytes } = sizesOf(shape);
  const promised = `${shape.join('x')} elements need ${expectedBytes}`;
  const hint = 'the file is damaged: fetch it again';
  if (isPacked ? expectedBytes > (file.length + 1) * MOST_RATIO : file.length !== expectedBytes) {
    const what = isPacked ? 'gzipped IDX file' : 'IDX file';
    throw new BnnError('E_FORMAT', `${what} of ${file.length} bytes, but ${promised}`, { at, hint });
  }
  if (expectedBytes > MOST_ELEMENTS) {
    throw new BnnError('E_UNSUPPORTED', `${promised} bytes, at most ${MOST_ELEMENTS} are read`, { at });
  }
  const bytes = isPacked ? gunzip(file, expectedBytes, at) : file;
  if (bytes.length !== expectedBytes) {
    throw new BnnError('E_FORMAT', `IDX file of ${bytes.length} bytes, but ${promised}`, { at, hint });
  }
  return { shape, data: bytes.subarray(headerBytes) };
}

/** What the first bytes of the file decompress to: some kilobytes, or what a bomb makes of them, at most 68 MB. */
function gunzipHead(file: Uint8Array, at: string): Uint8Array {
  // A part of a file is no damaged file.
  const options = file.length > HEAD_BYTES ? { finishFlush: constants.Z_SYNC_FLUSH } : {};
  return decompress(at, () => gunzipSync(file.subarray(0, HEAD_BYTES), options));
}

/** @param length  beyond which nothing is decompressed. */
function gunzip(file: Uint8Array, length: number, at: string): Uint8Array {
  // One piece of the whole length: pieces would be copied together.
  return decompress(at, () => gunzipSync(file, { maxOutputLength: length, chunkSize: Math.max(64, length + 1) }));
}

function decompress(at: string, work: () => Uint8Array): Uint8Array {
  try {
    return work();
  } catch (cause) {
    const isLonger = systemErrorCode(cause) === 'ERR_BUFFER_TOO_LARGE';
    const text = isLonger ? 'more bytes than the header says' : cause instanceof Error ? cause.message : String(cause);
    throw new BnnError('E_FORMAT', `cannot decompress: ${text}`, {
      at,
      hint: 'the file is damaged: fetch it again',
      cause,
    });
  }
}
