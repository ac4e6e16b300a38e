/** Attributes of a file in a tar file of the pax format (POSIX.1-2001): `<length> <key>=<value>\n`, one after another. */

export interface PaxRecords {
  readonly name?: string | undefined;
  /** In bytes. */
  readonly size?: number | undefined;
  readonly isSparse?: boolean | undefined;
}

/** Digits of a length, which counts its whole record, itself included. */
const LONGEST_LENGTH = 8;
const SPACE = 0x20;
const NEWLINE = 0x0a;

/**
 * @param damaged  makes the error for a record that is none.
 * @throws         what `damaged` makes.
 */
export function parsePax(bytes: Uint8Array, damaged: (message: string) => Error): PaxRecords {
  let found: PaxRecords = {};
  let at = 0;
  // Some writers fill up with zeros.
  while (at < bytes.length && bytes[at] !== 0) {
    const space = bytes.subarray(at, at + LONGEST_LENGTH + 1).indexOf(SPACE);
    const length = space < 0 ? Number.NaN : wholeNumber(latin1(bytes.subarray(at, at + space)));
    if (!(length > space + 1) || bytes[at + length - 1] !== NEWLINE)
      throw damaged('attributes that are no pax records');
    const record = new TextDecoder().decode(bytes.subarray(at + space + 1, at + length - 1));
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    // An empty value takes the attribute back.
    if (key === 'path') found = { ...found, name: value === '' ? undefined : value };
    if (key === 'size') found = { ...found, size: value === '' ? undefined : wholeNumber(value) };
    if (key.startsWith('GNU.sparse.')) found = { ...found, isSparse: true };
    if (Number.isNaN(found.size)) throw damaged(`the size ${JSON.stringify(value.slice(0, 40))} is no number of bytes`);
    at += length;
  }
  return found;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

/** NaN for what is not written in digits, or too large for a double. */
function wholeNumber(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : Number.NaN;
}
