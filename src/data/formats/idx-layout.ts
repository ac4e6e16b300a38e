/**
 * The IDX format of the MNIST files (Y. LeCun, "The MNIST database"): two zero bytes, a type byte (8 = unsigned byte), the
 * number of dimensions, one big-endian u32 for each size, then the elements in row-major order.
 */

import { elementCount } from '../../core/tensors/shape.ts';
import { BnnError } from '../../errors.ts';

export interface Idx {
  readonly shape: readonly number[];
  /** u8[shape], a view of the file (or of its decompressed bytes). */
  readonly data: Uint8Array;
}

const UNSIGNED_BYTE = 8;

/** Bytes of the header, and of the file, for elements of a shape. */
export function sizesOf(shape: readonly number[]): { readonly headerBytes: number; readonly fileBytes: number } {
  const headerBytes = 4 + 4 * shape.length;
  return { headerBytes, fileBytes: headerBytes + elementCount(shape) };
}

/**
 * The elements of a file that is not compressed.
 *
 * @param rank  the number of dimensions that the caller expects.
 * @throws {BnnError} E_FORMAT, E_UNSUPPORTED for another element type.
 */
export function viewIdx(bytes: Uint8Array, rank: number, at: string): Idx {
  const shape = parseHeader(bytes, rank, at);
  const { headerBytes, fileBytes } = sizesOf(shape);
  if (bytes.length === fileBytes) return { shape, data: bytes.subarray(headerBytes) };
  const found = `IDX file of ${bytes.length} bytes, but ${shape.join('x')} elements need ${fileBytes}`;
  throw new BnnError('E_FORMAT', found, { at, hint: 'the file is damaged: fetch it again' });
}

/** @throws {BnnError} as `viewIdx`. */
export function parseHeader(bytes: Uint8Array, rank: number, at: string): number[] {
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
  return Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
}
