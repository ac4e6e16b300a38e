/** What the values of a pickle take in memory, roughly and rather too much. Opcodes of one byte make objects of hundreds. */

import { MemoryBudget } from '../formats/memory-budget.ts';

export const COST = {
  /** A place on the stack, in a list, among the marks. */
  value: 16,
  /** Of a dict, a set or the memo. */
  entry: 64,
} as const;

const LIST = 48;
const TABLE = 240;
const VIEW = 160;
const OBJECT = 160;
const SLACK_BYTES = 64e6;
/** Honest pickles, of names, numbers and dicts with something in them, stay below. */
const MOST_PER_BYTE = 24;

/** @param fileBytes  of the file as it is stored, before anything in it is unpacked. */
export function pickleBudget(fileBytes: number): MemoryBudget {
  return new MemoryBudget(SLACK_BYTES + MOST_PER_BYTE * fileBytes);
}

/** Bytes of a value without the values in it. */
export function sizeOf(value: unknown): number {
  if (typeof value === 'string') return LIST + 2 * value.length;
  if (typeof value === 'bigint') return OBJECT;
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return LIST + COST.value * value.length;
  if (value instanceof Map || value instanceof Set) return TABLE + COST.entry * value.size;
  return value instanceof Uint8Array ? VIEW + value.length : OBJECT;
}
