/**
 * The bit convention, written once. Every packer, kernel and test of this project refers to this file.
 *
 * - Bit 1 stands for +1, bit 0 for −1.
 * - sign(x) = +1 where x ≥ 0 (so +1 for 0 and −0), else −1 (so −1 for NaN).
 * - Little-endian: bit b of byte j of a row is element 8·j + b.
 * - A row of n elements takes ⌈n / 8⌉ bytes; the pad bits of its last byte are 0.
 */

import { BnnError } from '../../errors.ts';

/** sign(x) in {−1, +1}. */
export function signOf(x: number): 1 | -1 {
  return x >= 0 ? 1 : -1;
}

/** Bytes that one row of `length` sign bits takes. */
export function packedBytes(length: number): number {
  return Math.ceil(length / 8);
}

/**
 * Packs the signs of a row-major matrix.
 *
 * @param x       [rows][length], any values.
 * @param length  elements of a row.
 * @returns       u8[rows][⌈length / 8⌉].
 * @throws {BnnError} E_SHAPE when `x.length` is not a multiple of `length`.
 */
export function packSigns(x: ArrayLike<number>, length: number): Uint8Array {
  if (length <= 0 || x.length % length !== 0) {
    throw new BnnError('E_SHAPE', `cannot pack ${x.length} elements into rows of ${length}`);
  }
  const rows = x.length / length;
  const rowBytes = packedBytes(length);
  const packed = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < length; i++) {
      if ((x[row * length + i] ?? Number.NaN) >= 0) {
        const at = row * rowBytes + (i >> 3);
        packed[at] = (packed[at] ?? 0) | (1 << (i & 7));
      }
    }
  }
  return packed;
}

/**
 * The inverse of `packSigns`: f32[rows][length] of ±1 from u8[rows][⌈length / 8⌉].
 *
 * @throws {BnnError} E_SHAPE when `packed.length` is not a multiple of the row size.
 */
export function unpackSigns(packed: Uint8Array, length: number): Float32Array {
  const rowBytes = packedBytes(length);
  if (length <= 0 || packed.length % rowBytes !== 0) {
    throw new BnnError(
      'E_SHAPE',
      `cannot unpack ${packed.length} bytes into rows of ${length} bits (${rowBytes} bytes)`,
    );
  }
  const rows = packed.length / rowBytes;
  const x = new Float32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < length; i++) {
      const bit = ((packed[row * rowBytes + (i >> 3)] ?? 0) >> (i & 7)) & 1;
      x[row * length + i] = bit === 1 ? 1 : -1;
    }
  }
  return x;
}
