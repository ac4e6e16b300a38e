/**
 * The IDX format of the MNIST files (Y. LeCun, "The MNIST database"): two zero bytes, a type byte (8 = unsigned byte), the
 * number of dimensions, one big-endian u32 for each size, then the elements in row-major order.
 */

import { gunzipSync } from 'node:zlib';
import { elementCount } from '../core/shape.ts';
import { BnnError } from '../errors.ts';

export interface Idx {
  readonly shape: readonly number[];
  /** u8[shape], a view of the file (or of its decompressed bytes). */
  readonly data: Uint8Array;
}

const UNSIGNED_BYTE = 8;

/**
 * Decodes an IDX file of unsigned bytes, gzipped or not.
 *
 * @param at    the file's name, for messages.
 * @param rank  the number of dimensions that the caller expects.
 * @throws {BnnError} E_FORMAT with expected and found sizes; E_UNSUPPORTED for element types other than unsigned byte.
 */
export function decodeIdx(file: Uint8Array, rank: number, at: string): Idx {
  const bytes = file[0] === 0x1f && file[1] === 0x8b ? gunzip(file, at) : file;
  const headerBytes = 4 + 4 * rank;
  const [zero0, zero1, type, foundRank] = bytes;
  if (bytes.length < 4 || zero0 !== 0 || zero1 !== 0) {
    throw new BnnError('E_FORMAT', 'not an IDX file: it does not begin with two zero bytes', { at });
  }
  if (type !== UNSIGNED_BYTE) {
    throw new BnnError('E_UNSUPPORTED', `IDX element type ${type}, only ${UNSIGNED_BYTE} (unsigned byte) is read`, {
      at,
    });
  }
  if (foundRank !== rank) {
    throw new BnnError('E_FORMAT', `IDX file with ${foundRank} dimensions, expected ${rank}`, {
      at,
      hint: 'are the files of images and labels swapped?',
    });
  }
  if (bytes.length < headerBytes) {
    throw new BnnError('E_FORMAT', `IDX file of ${bytes.length} bytes, its header alone takes ${headerBytes}`, { at });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const expectedBytes = headerBytes + elementCount(shape);
  if (bytes.length !== expectedBytes) {
    throw new BnnError(
      'E_FORMAT',
      `IDX file of ${bytes.length} bytes, but ${shape.join('x')} elements need ${expectedBytes}`,
      { at, hint: 'the file is damaged: fetch it again' },
    );
  }
  return { shape, data: bytes.subarray(headerBytes) };
}

function gunzip(file: Uint8Array, at: string): Uint8Array {
  try {
    return gunzipSync(file);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new BnnError('E_FORMAT', `cannot decompress: ${text}`, {
      at,
      hint: 'the file is damaged: fetch it again',
      cause,
    });
  }
}
