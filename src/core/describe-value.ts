/** Text for messages, made of values from elsewhere. */

const LONGEST = 60;

const MOST_ITEMS = 6;

/**
 * A primitive as it is, a long text shortened, and a short list of primitives; of anything else only what it is. A list within a list within a list … may be small in a
 * file and endless as text, so no value that may be nested must become text in another way.
 */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value);
  if (typeof value === 'bigint') return value.toString(16).length > LONGEST ? 'a huge integer' : String(value);
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean') {
    return String(value);
  }
  if (Array.isArray(value)) return describeList(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return value instanceof Map ? 'a dict' : 'an object';
}

function describeList(list: readonly unknown[]): string {
  const isPlain = list.length <= MOST_ITEMS && list.every((item) => typeof item !== 'object' || item === null);
  return isPlain ? `[${list.map(describeValue).join(', ')}]` : `a list of ${list.length}`;
}
