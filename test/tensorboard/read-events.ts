/**
 * An independent reader of event files: the framing of TFRecord and the wire format of protobuf by hand, with a bit-by-bit CRC. Messages
 * come out as lists of (field number, value).
 */

/** Bit by bit, over the reversed polynomial of RFC 3720. */
export function slowCrc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function unmask(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

/** The records of a file, whose checksums must be right. */
export function readRecords(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const records: Uint8Array[] = [];
  let at = 0;
  while (at < file.length) {
    const length = Number(view.getBigUint64(at, true));
    const data = file.subarray(at + 12, at + 12 + length);
    if (data.length !== length) throw new Error(`a record of ${length} bytes is cut off`);
    if (unmask(view.getUint32(at + 8, true)) !== slowCrc32c(file.subarray(at, at + 8)))
      throw new Error('length damaged');
    if (unmask(view.getUint32(at + 12 + length, true)) !== slowCrc32c(data)) throw new Error('data damaged');
    records.push(data);
    at += length + 16;
  }
  return records;
}

export interface Field {
  readonly number: number;
  /** Numbers of the wire types 0, 1 (as double) and 5 (as float); bytes of type 2. */
  readonly value: number | Uint8Array;
}

export function readMessage(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = view.getUint8(at++);
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): number => {
    at += length;
    return at - length;
  };
  while (at < bytes.length) {
    const key = varint();
    const [number, type] = [Math.floor(key / 8), key % 8];
    if (type === 0) fields.push({ number, value: varint() });
    else if (type === 1) fields.push({ number, value: view.getFloat64(take(8), true) });
    else if (type === 5) fields.push({ number, value: view.getFloat32(take(4), true) });
    else if (type === 2) {
      const length = varint();
      const begin = take(length);
      fields.push({ number, value: bytes.subarray(begin, at) });
    } else throw new Error(`wire type ${type}`);
  }
  return fields;
}

const numberOf = (fields: readonly Field[], number: number): number | undefined =>
  fields.find((field) => field.number === number && typeof field.value === 'number')?.value as number | undefined;
const bytesOf = (fields: readonly Field[], number: number): Uint8Array | undefined =>
  fields.find((field) => field.number === number && typeof field.value !== 'number')?.value as Uint8Array | undefined;
const textOf = (fields: readonly Field[], number: number): string => new TextDecoder().decode(bytesOf(fields, number));

function doubles(packed: Uint8Array | undefined): number[] {
  if (packed === undefined) return [];
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  return Array.from({ length: packed.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
}

export interface ReadValue {
  readonly step: number;
  readonly tag: string;
  readonly scalar?: number;
  readonly image?: {
    readonly height: number;
    readonly width: number;
    readonly channels: number;
    readonly png: Uint8Array;
  };
  readonly histogram?: {
    readonly min: number;
    readonly max: number;
    readonly num: number;
    readonly sum: number;
    readonly limits: readonly number[];
    readonly counts: readonly number[];
  };
  readonly text?: string;
}

export interface ReadEvents {
  readonly version: string;
  /** Steps from which on a later file voids earlier ones. */
  readonly starts: readonly number[];
  readonly values: readonly ReadValue[];
}

export function readEvents(file: Uint8Array): ReadEvents {
  const events = readRecords(file).map(readMessage);
  const starts: number[] = [];
  const values: ReadValue[] = [];
  for (const event of events) {
    const step = numberOf(event, 2) ?? 0;
    const log = bytesOf(event, 7);
    if (log !== undefined && numberOf(readMessage(log), 1) === 1) starts.push(step);
    for (const { value } of readMessage(bytesOf(event, 5) ?? new Uint8Array()))
      values.push(readValue(step, readMessage(value as Uint8Array)));
  }
  return { version: textOf(events[0]!, 3), starts, values };
}

function readValue(step: number, fields: readonly Field[]): ReadValue {
  const tag = textOf(fields, 1);
  const scalar = numberOf(fields, 2);
  if (scalar !== undefined) return { step, tag, scalar };
  const image = bytesOf(fields, 4);
  if (image !== undefined) {
    const [height = 0, width = 0, channels = 0] = [1, 2, 3].map((number) => numberOf(readMessage(image), number));
    return { step, tag, image: { height, width, channels, png: bytesOf(readMessage(image), 4) ?? new Uint8Array() } };
  }
  const histo = bytesOf(fields, 5);
  if (histo !== undefined) {
    const [min = 0, max = 0, num = 0, sum = 0] = [1, 2, 3, 4].map((number) => numberOf(readMessage(histo), number));
    const [limits, counts] = [6, 7].map((number) => doubles(bytesOf(readMessage(histo), number))) as [
      number[],
      number[],
    ];
    return { step, tag, histogram: { min, max, num, sum, limits, counts } };
  }
  const tensor = bytesOf(fields, 8);
  return tensor === undefined ? { step, tag } : { step, tag, text: textOf(readMessage(tensor), 8) };
}
