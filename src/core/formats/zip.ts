/** Reads ZIP archives (PKWARE APPNOTE 6.3.10): stored and deflated entries, ZIP64 sizes. */

import { crc32, inflateRawSync } from 'node:zlib';
import { BnnError } from '../../errors.ts';

const END = 0x06054b50;
const END64_LOCATOR = 0x07064b50;
const END64 = 0x06064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const MAX_COMMENT = 65535;
const ENCRYPTED = 1;
/** No deflate stream grows more: a repeated byte takes two bits for 258. */
const MOST_GROWTH = 1032;
const MOST_ENTRIES = 200_000;

export interface ZipEntry {
  readonly name: string;
  /** Bytes when unpacked. */
  readonly size: number;
  /** @throws {BnnError} E_FORMAT when the content is damaged. */
  readonly read: () => Uint8Array;
}

export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

/**
 * Lists the entries of an archive; contents are unpacked when they are read.
 *
 * @throws {BnnError} E_FORMAT for a damaged archive, E_UNSUPPORTED for encryption and other compressions.
 */
export function readZip(bytes: Uint8Array, at?: string): ReadonlyMap<string, ZipEntry> {
  const archive = new Archive(bytes, at);
  return archive.entries();
}

interface Place {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packedSize: number;
  readonly size: number;
  readonly offset: number;
}

class Archive {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: string | undefined;

  constructor(bytes: Uint8Array, at: string | undefined) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  entries(): ReadonlyMap<string, ZipEntry> {
    try {
      return this.#list();
    } catch (error) {
      if (error instanceof RangeError) throw this.#damaged('it ends early', error);
      throw error;
    }
  }

  #list(): ReadonlyMap<string, ZipEntry> {
    const end = this.#findEnd();
    let count = this.#view.getUint16(end + 10, true);
    let offset = this.#view.getUint32(end + 16, true);
    if (count === 0xffff || offset === 0xffffffff) {
      if (this.#view.getUint32(end - 20, true) !== END64_LOCATOR) throw this.#damaged('its ZIP64 directory is missing');
      const end64 = Number(this.#view.getBigUint64(end - 12, true));
      if (this.#view.getUint32(end64, true) !== END64) throw this.#damaged('its ZIP64 directory is missing');
      count = Number(this.#view.getBigUint64(end64 + 32, true));
      offset = Number(this.#view.getBigUint64(end64 + 48, true));
    }
    if (count > MOST_ENTRIES) throw this.#damaged(`it claims ${count} entries`);
    const entries = new Map<string, ZipEntry>();
    for (let i = 0; i < count; i++) {
      const { place, next } = this.#centralEntry(offset);
      entries.set(place.name, { name: place.name, size: place.size, read: () => this.#read(place) });
      offset = next;
    }
    return entries;
  }

  #findEnd(): number {
    const first = Math.max(0, this.#bytes.length - END_BYTES - MAX_COMMENT);
    for (let at = this.#bytes.length - END_BYTES; at >= first; at--) {
      if (this.#view.getUint32(at, true) === END) return at;
    }
    throw this.#damaged('it has no directory');
  }

  #centralEntry(at: number): { readonly place: Place; readonly next: number } {
    const view = this.#view;
    if (view.getUint32(at, true) !== CENTRAL) throw this.#damaged(`no entry of its directory at ${at}`);
    if ((view.getUint16(at + 8, true) & ENCRYPTED) !== 0) {
      throw new BnnError('E_UNSUPPORTED', 'the archive is encrypted', { at: this.#at });
    }
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const commentBytes = view.getUint16(at + 32, true);
    const name = new TextDecoder().decode(this.#slice(at + 46, nameBytes));
    let packedSize = view.getUint32(at + 20, true);
    let size = view.getUint32(at + 24, true);
    let offset = view.getUint32(at + 42, true);
    // ZIP64: the fields that do not fit follow in this order, eight bytes each.
    let extra = at + 46 + nameBytes;
    const extraEnd = extra + extraBytes;
    while (extra + 4 <= extraEnd) {
      const [id, length] = [view.getUint16(extra, true), view.getUint16(extra + 2, true)];
      let field = extra + 4;
      if (id === 1) {
        const next = (): number => {
          field += 8;
          return Number(view.getBigUint64(field - 8, true));
        };
        if (size === 0xffffffff) size = next();
        if (packedSize === 0xffffffff) packedSize = next();
        if (offset === 0xffffffff) offset = next();
      }
      extra += 4 + length;
    }
    const place = {
      name,
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packedSize,
      size,
      offset,
    };
    return { place, next: extraEnd + commentBytes };
  }

  #read(place: Place): Uint8Array {
    try {
      return this.#unpack(place);
    } catch (error) {
      if (error instanceof BnnError) throw error;
      throw this.#damaged(`entry ${place.name} cannot be unpacked`, error);
    }
  }

  #unpack({ name, method, crc, packedSize, size, offset }: Place): Uint8Array {
    if (this.#view.getUint32(offset, true) !== LOCAL) throw this.#damaged(`entry ${name} is not at ${offset}`);
    const begin = offset + 30 + this.#view.getUint16(offset + 26, true) + this.#view.getUint16(offset + 28, true);
    const packed = this.#slice(begin, packedSize);
    let content: Uint8Array;
    if (method === 0) content = packed;
    else if (method === 8) {
      if (size > packedSize * MOST_GROWTH + 64) throw this.#damaged(`entry ${name} claims ${size} bytes`);
      content = inflateRawSync(packed, { maxOutputLength: Math.max(1, size) });
    } else throw new BnnError('E_UNSUPPORTED', `entry ${name} is compressed by method ${method}`, { at: this.#at });
    if (content.length !== size) throw this.#damaged(`entry ${name} has ${content.length} bytes, expected ${size}`);
    if (crc32(content) !== crc) throw this.#damaged(`the checksum of entry ${name} is wrong`);
    return content;
  }

  #slice(begin: number, length: number): Uint8Array {
    if (begin + length > this.#bytes.length) throw new RangeError('beyond the end');
    return this.#bytes.subarray(begin, begin + length);
  }

  #damaged(reason: string, cause?: unknown): BnnError {
    return new BnnError('E_FORMAT', `not a readable ZIP archive: ${reason}`, {
      at: this.#at,
      hint: 'the file is truncated or damaged',
      cause,
    });
  }
}
