/** Text for messages, made of values from elsewhere. */

const LONGEST = 60;

/**
 * A primitive as it is, a long text shortened; of anything else only what it is. A list within a list within a list … may be small in a
 * file and endless as text, so no value that may be nested must become text in another way.
 */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value);
  if (typeof value === 'bigint') return value.toString(16).length > LONGEST ? 'a huge integer' : String(value);
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean') {
    return String(value);
  }
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return value instanceof Map ? 'a dict' : 'an object';
}
