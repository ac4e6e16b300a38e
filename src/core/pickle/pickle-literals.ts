/** Opcodes of pickles that stand for a number, a string or bytes. */

import type { ByteReader } from '../formats/byte-reader.ts';
import { parseAsciiNumber, parseQuoted, parseRawUnicode, signedInteger } from './pickle-text.ts';

export const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** What an opcode and its argument stand for; undefined for opcodes of another kind. */
export function readLiteral(opcode: number, reader: ByteReader): unknown {
  switch (opcode) {
    case 0x4e: // NONE
      return null;
    case 0x88: // NEWTRUE
    case 0x89: // NEWFALSE
      return opcode === 0x88;
    case 0x49: // INT, LONG and FLOAT in text
    case 0x4c:
    case 0x46:
      return parseAsciiNumber(latin1(reader.line()), opcode === 0x46 ? 'float' : 'int');
    case 0x4a: // BININT
      return reader.int32();
    case 0x4b: // BININT1
      return reader.uint8();
    case 0x4d: // BININT2
      return reader.uint16();
    case 0x8a: // LONG1
      return signedInteger(reader.bytes(reader.uint8()));
    case 0x8b: // LONG4
      return signedInteger(reader.bytes(reader.uint32()));
    case 0x47: // BINFLOAT
      return reader.float64BigEndian();
    case 0x53: // STRING
      return parseQuoted(latin1(reader.line()));
    case 0x54: // BINSTRING
      return latin1(reader.bytes(reader.uint32()));
    case 0x55: // SHORT_BINSTRING
      return latin1(reader.bytes(reader.uint8()));
    case 0x56: // UNICODE
      return parseRawUnicode(latin1(reader.line()));
    case 0x58: // BINUNICODE
      return utf8.decode(reader.bytes(reader.uint32()));
    case 0x8c: // SHORT_BINUNICODE
      return utf8.decode(reader.bytes(reader.uint8()));
    case 0x8d: // BINUNICODE8
      return utf8.decode(reader.bytes(reader.uint64()));
    case 0x42: // BINBYTES
      return reader.bytes(reader.uint32());
    case 0x43: // SHORT_BINBYTES
      return reader.bytes(reader.uint8());
    case 0x8e: // BINBYTES8
    case 0x96: // BYTEARRAY8
      return reader.bytes(reader.uint64());
    default:
      return undefined;
  }
}
