/**
 * Repeated numeric fields. A run of packed numbers stays the bytes that it is in the file (`keepPackedRuns`), so that reading takes
 * no memory; the functions below count the numbers and put them into a typed array of that length.
 */

import type Long from 'long';
import type protobuf from 'protobufjs/minimal.js';

/** What a reader gives for a repeated field: packed runs as bytes, numbers that stand alone as numbers. */
export type RepeatedField<Single extends number | Long> = readonly (Single | Uint8Array)[];

const RUN_METHODS = ['int32s', 'int64s', 'uint64s', 'floats', 'doubles'] as const;

/** Makes a reader keep packed runs. */
export function keepPackedRuns(reader: protobuf.Reader): void {
  for (const method of RUN_METHODS) {
    (reader as unknown as Record<string, (runs: Uint8Array[]) => unknown>)[method] = (runs) => {
      runs.push(reader.bytes());
    };
  }
}

/** The numbers of an int64 or uint64 field, as the 64 bits they are; undefined when a run ends inside a number. */
export function integers64(field: RepeatedField<Long>): BigInt64Array | undefined {
  const count = countNumbers(field);
  if (count === undefined) return undefined;
  const data = new BigInt64Array(count);
  const halves = new Int32Array(data.buffer);
  eachInteger(field, (i, low, high) => {
    halves[2 * i] = low;
    halves[2 * i + 1] = high;
  });
  return data;
}

/** The numbers of an int32 field; undefined when a run ends inside a number. */
export function integers32(field: RepeatedField<number>): Int32Array | undefined {
  const count = countNumbers(field);
  if (count === undefined) return undefined;
  const data = new Int32Array(count);
  eachInteger(field, (i, low) => {
    data[i] = low;
  });
  return data;
}

/** The numbers of a float or double field; undefined when a run ends inside a number. */
export function floats<T extends Float32Array | Float64Array>(
  field: RepeatedField<number>,
  Kind: { new (length: number): T; readonly BYTES_PER_ELEMENT: number },
): T | undefined {
  const size = Kind.BYTES_PER_ELEMENT;
  let count = 0;
  for (const item of field) count += typeof item === 'number' ? 1 : item.byteLength / size;
  if (!Number.isInteger(count)) return undefined;
  const data = new Kind(count);
  const bytes = new Uint8Array(data.buffer);
  let at = 0;
  for (const item of field) {
    if (typeof item === 'number') data[at++] = item;
    else {
      if (item.byteLength % size !== 0) return undefined;
      bytes.set(item, at * size);
      at += item.byteLength / size;
    }
  }
  return data;
}

/** How many numbers a field of integers holds; undefined when a run ends inside a number or has one of more than 10 bytes. */
function countNumbers(field: RepeatedField<number | Long>): number | undefined {
  let count = 0;
  for (const item of field) {
    if (!(item instanceof Uint8Array)) {
      count++;
      continue;
    }
    let length = 0;
    for (let i = 0; i < item.length; i++) {
      length++;
      if (length > 10) return undefined;
      if ((item[i] ?? 0) < 0x80) {
        count++;
        length = 0;
      }
    }
    if (length > 0) return undefined;
  }
  return count;
}

/** Calls back with the low and the high 32 bits of each number. */
function eachInteger(
  field: RepeatedField<number | Long>,
  take: (index: number, low: number, high: number) => void,
): void {
  let index = 0;
  for (const item of field) {
    if (typeof item === 'number') take(index++, item, item >> 31);
    else if (item instanceof Uint8Array) index = eachVarint(item, index, take);
    else take(index++, item.low, item.high);
  }
}

function eachVarint(run: Uint8Array, first: number, take: (index: number, low: number, high: number) => void): number {
  let index = first;
  let [low, high, shift] = [0, 0, 0];
  for (let i = 0; i < run.length; i++) {
    const byte = run[i] ?? 0;
    const bits = byte & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high |= bits >>> 4;
    } else high |= bits << (shift - 32);
    shift += 7;
    if (byte < 0x80) {
      take(index++, low, high);
      [low, high, shift] = [0, 0, 0];
    }
  }
  return index;
}
