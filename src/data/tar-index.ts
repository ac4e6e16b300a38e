/**
 * Reads the table of contents of an uncompressed tar file (POSIX ustar and pax, and GNU's long names): names, offsets and sizes of its
 * files. Only headers are read, so that an index of gigabytes takes seconds; the files are then read from where they lie.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { BnnError, fromSystemError } from '../errors.ts';

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

  /** @throws {BnnError} E_NOT_FOUND or E_IO with the path. */
  static async open(path: string): Promise<TarFile> {
    try {
      const file = await open(path);
      return new TarFile(path, file, (await file.stat()).size);
    } catch (error) {
      throw fromSystemError(error, 'open', path);
    }
  }

  /**
   * The regular files, in their order.
   *
   * @throws {BnnError} E_FORMAT with the place when the file is damaged or cut off, E_UNSUPPORTED when it is compressed.
   */
  async *entries(): AsyncGenerator<TarEntry> {
    let at = 0;
    let override: Overrides = {};
    while (at < this.sizeBytes) {
      const block = await this.#bytes(at, BLOCK);
      if (block.every((byte) => byte === 0)) return;
      this.#checkHeader(block, at);
      const type = String.fromCharCode(block[156] ?? 0);
      const size = (type === 'x' || type === 'L' ? undefined : override.size) ?? this.#sizeField(block, at);
      const offset = at + BLOCK;
      if (offset + size > this.sizeBytes) {
        throw this.#damaged(`a file of ${size} bytes goes beyond the end, at byte ${this.sizeBytes}`, at);
      }
      if (type === 'x' || type === 'L') {
        if (size > LONGEST_ATTRIBUTES) throw this.#damaged(`attributes of ${size} bytes`, at);
        const text = await this.#bytes(offset, size);
        override = { ...override, ...(type === 'x' ? parsePax(text) : { name: cString(text) }) };
      } else {
        const isFile = type === '0' || type === '\0' || type === '7';
        if (isFile) yield { name: override.name ?? nameField(block), offset, size };
        // 'g' and 'K' belong to a later file, as its own attributes do.
        if (type !== 'g' && type !== 'K') override = {};
      }
      at = offset + Math.ceil(size / BLOCK) * BLOCK;
    }
  }

  /** The bytes of a file; meant for small ones. */
  read({ offset, size }: TarEntry): Promise<Uint8Array> {
    return this.#bytes(offset, size);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #bytes(at: number, length: number): Promise<Uint8Array> {
    const from = at - this.#windowAt;
    if (from >= 0 && from + length <= this.#window.length) return this.#window.subarray(from, from + length);
    const window = new Uint8Array(Math.max(WINDOW, length));
    let filled = 0;
    try {
      while (filled < window.length) {
        const { bytesRead } = await this.#file.read(window, filled, window.length - filled, at + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
    } catch (error) {
      throw fromSystemError(error, 'read', this.path);
    }
    if (filled < length) throw this.#damaged(`cut off, ${length} bytes expected but ${filled} are left`, at);
    this.#window = window.subarray(0, filled);
    this.#windowAt = at;
    return this.#window.subarray(0, length);
  }

  #checkHeader(block: Uint8Array, at: number): void {
    if (at === 0 && block[0] === 0x1f && block[1] === 0x8b) {
      throw new BnnError('E_UNSUPPORTED', 'a compressed tar file: its pictures cannot be read from where they lie', {
        at: this.path,
        hint: 'unpack it with gunzip; pictures do not compress anyway',
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
    const isBinary = ((field[0] ?? 0) & 0x80) !== 0;
    const size = isBinary ? field.subarray(1).reduce((value, byte) => value * 256 + byte, 0) : octal(field);
    if (!Number.isSafeInteger(size)) throw this.#damaged('a size that is no number', at);
    return size;
  }

  #damaged(message: string, at: number): BnnError {
    return new BnnError('E_FORMAT', `not a complete tar file: ${message}`, {
      at: `${this.path} > byte ${at}`,
      hint: 'the file is damaged or incomplete: fetch it again',
    });
  }
}

interface Overrides {
  readonly name?: string;
  readonly size?: number;
}

/** `<length> <key>=<value>\n`, one after another; the length counts the whole record. */
function parsePax(bytes: Uint8Array): Overrides {
  let found: Overrides = {};
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(cString(bytes.subarray(at, space)));
    if (!Number.isSafeInteger(length) || length <= 0) break;
    const record = new TextDecoder().decode(bytes.subarray(space + 1, at + length - 1));
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === 'path') found = { ...found, name: value };
    if (key === 'size') found = { ...found, size: Number(value) };
    at += length;
  }
  return found;
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
