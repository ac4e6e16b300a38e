/** Where a pickle ends, for files that hold several one after another. Opcodes: the module `pickletools` of Python. */

import { ByteReader } from '../formats/byte-reader.ts';

/** Bytes of the argument of an opcode. */
const FIXED = new Map<number, number>([
  ...[0x4a, 0x6a, 0x72, 0x84].map((opcode): [number, number] => [opcode, 4]),
  ...[0x4b, 0x68, 0x71, 0x80, 0x82].map((opcode): [number, number] => [opcode, 1]),
  ...[0x4d, 0x83].map((opcode): [number, number] => [opcode, 2]),
  ...[0x47, 0x95].map((opcode): [number, number] => [opcode, 8]),
]);
/** Opcodes whose argument begins with its length, in so many bytes. */
const COUNTED = new Map<number, 1 | 4 | 8>([
  ...[0x55, 0x8c, 0x43, 0x8a].map((opcode): [number, 1] => [opcode, 1]),
  ...[0x54, 0x58, 0x42, 0x8b].map((opcode): [number, 4] => [opcode, 4]),
  ...[0x8d, 0x8e, 0x96].map((opcode): [number, 8] => [opcode, 8]),
]);
/** Lines of text that follow an opcode. */
const LINES = new Map<number, number>([
  ...[0x49, 0x4c, 0x46, 0x53, 0x56, 0x67, 0x70, 0x50].map((opcode): [number, number] => [opcode, 1]),
  ...[0x63, 0x69].map((opcode): [number, number] => [opcode, 2]),
]);
const STOP = 0x2e;

/**
 * Bytes of the first pickle in `bytes`, its STOP included. The content is not looked at.
 *
 * @throws {BnnError} E_FORMAT when there is no end.
 */
export function pickleLength(bytes: Uint8Array, at?: string): number {
  const reader = new ByteReader(bytes, at);
  for (;;) {
    const opcode = reader.uint8();
    if (opcode === STOP) return reader.offset;
    const counted = COUNTED.get(opcode);
    if (counted !== undefined) {
      reader.skip(counted === 1 ? reader.uint8() : counted === 4 ? reader.uint32() : reader.uint64());
    }
    reader.skip(FIXED.get(opcode) ?? 0);
    for (let lines = LINES.get(opcode) ?? 0; lines > 0; lines--) reader.line();
  }
}
