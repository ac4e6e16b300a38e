/** One record of a TFRecord file. */

import { maskedCrc32c } from './crc32c.ts';

const HEAD = 12;
const TAIL = 4;

/** u64 length, its masked CRC, the bytes, their masked CRC; little-endian. */
export function frameRecord(bytes: Uint8Array): Uint8Array {
  const record = new Uint8Array(HEAD + bytes.length + TAIL);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(bytes.length), true);
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(bytes, HEAD);
  view.setUint32(HEAD + bytes.length, maskedCrc32c(bytes), true);
  return record;
}
