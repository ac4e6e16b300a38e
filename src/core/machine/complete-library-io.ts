/** Whether a library is all there: to load one that was cut off, by a full disk or a killed copy, ends the process without a word. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Of the header of 64-bit ELF files, in bytes: https://man7.org/linux/man-pages/man5/elf.5.html. */
const ELF = { magic: 0x7f454c46, header: 64, sections: 40, sectionBytes: 58, sectionCount: 60 } as const;

/**
 * Looks at ELF files, which end with the table of their sections; the other systems look themselves.
 *
 * @throws {Error} for a file that cannot be read or is cut off.
 */
export function assertCompleteLibrary(path: string): void {
  const file = openSync(path, 'r');
  try {
    const header = Buffer.alloc(ELF.header);
    const found = readSync(file, header, 0, ELF.header, 0);
    const isElf = found === ELF.header && header.readUInt32BE(0) === ELF.magic && header[4] === 2 && header[5] === 1;
    if (!isElf) return;
    const tableBytes = header.readUInt16LE(ELF.sectionBytes) * header.readUInt16LE(ELF.sectionCount);
    const expected = Number(header.readBigUInt64LE(ELF.sections)) + tableBytes;
    const { size } = fstatSync(file);
    if (size < expected) throw new Error(`${path} is cut off: ${size} bytes of ${expected}`);
  } finally {
    closeSync(file);
  }
}
