/** Reads little-endian fields one after another, never beyond the end. */

import { BnnError } from '../../errors.ts';

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: string | undefined;
  #offset = 0;

  /** @param at  the file's name, for messages. */
  constructor(bytes: Uint8Array, at?: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Moves on by `count` bytes and returns where they begin.
   *
   * @throws {BnnError} E_FORMAT when fewer are left; so do all the readers below.
   */
  skip(count: number): number {
    const left = this.#bytes.length - this.#offset;
    if (count > left) {
      throw new BnnError('E_FORMAT', `${count} more bytes expected at offset ${this.#offset}, but ${left} are left`, {
        at: this.#at,
        hint: 'the file is truncated or damaged',
      });
    }
    const begin = this.#offset;
    this.#offset += count;
    return begin;
  }

  uint8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.skip(4), true);
  }

  /** A u64 as a number; above 2^53 it is rounded, and as a length always too large. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.skip(8), true));
  }

  float64BigEndian(): number {
    return this.#view.getFloat64(this.skip(8), false);
  }

  /** The next `count` bytes, as a view. */
  bytes(count: number): Uint8Array {
    const begin = this.skip(count);
    return this.#bytes.subarray(begin, begin + count);
  }

  /** The bytes up to the next line feed, which is read but not returned. */
  line(): Uint8Array {
    const end = this.#bytes.indexOf(0x0a, this.#offset);
    if (end < 0) {
      throw new BnnError('E_FORMAT', `no end of the line that begins at offset ${this.#offset}`, { at: this.#at });
    }
    return this.bytes(end + 1 - this.#offset).subarray(0, -1);
  }
}
