/**
 * Reads the table of contents of an uncompressed tar file (POSIX ustar and pax, and GNU's long names): names, offsets and sizes of its
 * files. Only headers are read, so that an index of gigabytes takes seconds; the files are then read from where they lie.
 */

import type { FileHandle } from 'node:fs/promises';
import { openRegularFile, readInto } from '../../core/files/regular-file-io.ts';
import { BnnError, fromSystemError } from '../../errors.ts';
import { type PaxRecords, parsePax } from './pax-records.ts';

export interface TarEntry {
  readonly name: string;
  /** Of its first byte in the tar file. */
  readonly offset: number;
  readonly size: number;
}

const BLOCK = 512;
/** A header and a small file behind it in one read. */
const WINDOW = 8 * BLOCK;
/** Longer names or attributes than this are a damaged file. */
const LONGEST_ATTRIBUTES = 1 << 20;

/** Types of entries: attributes of the next file or of all, and links, devices, folders and pipes, which have no content. */
const ATTRIBUTES = 'xLKg';
const WITHOUT_CONTENT = '123456';
const REGULAR = '0\x007';

/** First bytes of compressed files, in hexadecimal. */
const COMPRESSED = /^(?:1f8b|28b52ffd|fd377a58|425a68)/;

/** A tar file that is being indexed. */
export class TarFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  #window: Uint8Array = new Uint8Array(0);
  #windowAt = 0;

  private constructor(path: string, file: FileHandle, sizeBytes: number) {
    this.path = path;
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  /** @throws {BnnError} E_NOT_FOUND, E_IO, or E_UNSUPPORTED for what is no regular file, with the path. */
  static async open(path: string): Promise<TarFile> {
    const { handle, sizeBytes } = await openRegularFile(path);
    return new TarFile(path, handle, sizeBytes);
  }

  /**
   * The regular files, in their order.
   *
   * @throws {BnnError} E_FORMAT with the place when the file is damaged or cut off, E_UNSUPPORTED when it is compressed.
   */
  async *entries(): AsyncGenerator<TarEntry> {
    let at = 0;
    let own: PaxRecords = {};
    while (at < this.sizeBytes) {
      const block = await this.#bytes(at, BLOCK);
      if (block.every((byte) => byte === 0)) return;
      this.#checkHeader(block, at);
      const type = String.fromCharCode(block[156] ?? 0);
      const isAttribute = ATTRIBUTES.includes(type);
      const size = WITHOUT_CONTENT.includes(type)
        ? 0
        : ((isAttribute ? undefined : own.size) ?? this.#sizeField(block, at));
      const offset = at + BLOCK;
      if (offset + size > this.sizeBytes) {
        throw this.#damaged(`a file of ${size} bytes goes beyond the end, at byte ${this.sizeBytes}`, at);
      }
      if (isAttribute) own = { ...own, ...(await this.#attributes(type, { offset, size }, at)) };
      else {
        const name = own.name ?? nameField(block);
        if (type === 'S' || own.isSparse === true) throw this.#sparse(name);
        // Tar files of old mark folders by a slash only.
        if (REGULAR.includes(type) && !name.endsWith('/')) yield { name, offset, size };
        own = {};
      }
      at = offset + Math.ceil(size / BLOCK) * BLOCK;
    }
  }

  /** The bytes of a file; meant for small ones. */
  read({ offset, size }: Pick<TarEntry, 'offset' | 'size'>): Promise<Uint8Array> {
    return this.#bytes(offset, size);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #bytes(at: number, length: number): Promise<Uint8Array> {
    const from = at - this.#windowAt;
    if (from >= 0 && from + length <= this.#window.length) return this.#window.subarray(from, from + length);
    const window = new Uint8Array(Math.max(WINDOW, length));
    let filled: number;
    try {
      filled = await readInto(this.#file, window, at);
    } catch (error) {
      throw fromSystemError(error, 'read', this.path);
    }
    if (filled < length) throw this.#damaged(`cut off, ${length} bytes expected but ${filled} are left`, at);
    this.#window = window.subarray(0, filled);
    this.#windowAt = at;
    return this.#window.subarray(0, length);
  }

  /** Of the next file, by its name in a block of its own (GNU) or by pax records; those of links and of all files are not used. */
  async #attributes(type: string, place: Omit<TarEntry, 'name'>, at: number): Promise<PaxRecords> {
    if (type !== 'x' && type !== 'L') return {};
    if (place.size > LONGEST_ATTRIBUTES) throw this.#damaged(`attributes of ${place.size} bytes`, at);
    const bytes = await this.read(place);
    return type === 'L' ? { name: cString(bytes) } : parsePax(bytes, (message) => this.#damaged(message, at));
  }

  #checkHeader(block: Uint8Array, at: number): void {
    if (at === 0 && COMPRESSED.test(Buffer.from(block.subarray(0, 4)).toString('hex'))) {
      throw new BnnError('E_UNSUPPORTED', 'a compressed tar file: its pictures cannot be read from where they lie', {
        at: this.path,
        hint: 'unpack it, e.g. with gunzip; pictures do not compress anyway',
      });
    }
    let sum = 0;
    // The checksum counts its own eight bytes as spaces.
    for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0);
    if (octal(block.subarray(148, 156)) !== sum) throw this.#damaged('no header of a tar file', at);
  }

  #sizeField(block: Uint8Array, at: number): number {
    const field = block.subarray(124, 136);
    // GNU: sizes beyond 8 GiB as a binary number, marked by the highest bit.
    const first = field[0] ?? 0;
    const size =
      first >= 0x80 ? field.subarray(1).reduce((value, byte) => value * 256 + byte, first & 0x7f) : octal(field);
    if (!Number.isSafeInteger(size)) throw this.#damaged('a size that is no number', at);
    return size;
  }

  #sparse(name: string): BnnError {
    return new BnnError('E_UNSUPPORTED', 'a sparse file: its content does not lie in one piece', {
      at: `${this.path} > ${name}`,
      hint: 'pack the shard without --sparse',
    });
  }

  #damaged(message: string, at: number): BnnError {
    return new BnnError('E_FORMAT', `not a complete tar file: ${message}`, {
      at: `${this.path} > byte ${at}`,
      hint: 'the file is damaged or incomplete: fetch it again',
    });
  }
}

function nameField(block: Uint8Array): string {
  const name = cString(block.subarray(0, 100));
  const isPosix = cString(block.subarray(257, 263)) === 'ustar';
  const prefix = isPosix ? cString(block.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** NaN for what is no octal number; 0 for an empty field. */
function octal(field: Uint8Array): number {
  const text = cString(field).trim();
  return /^[0-7]*$/.test(text) ? Number.parseInt(text || '0', 8) : Number.NaN;
}
