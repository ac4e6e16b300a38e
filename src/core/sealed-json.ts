/** JSON objects that carry the digest of their own text, and of files beside them: a changed bit anywhere is found. */

import { createHash } from 'node:crypto';
import { BnnError } from '../errors.ts';
import { parseJsonObject } from './parse-json.ts';

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The object as text, with `sha256` as its last field. */
export function sealJson(value: object): string {
  const seal = sha256(JSON.stringify(value));
  return `${JSON.stringify({ ...value, sha256: seal }, null, 2)}\n`;
}

/**
 * Parses what `sealJson` wrote.
 *
 * @returns its fields without the digest; `isSealed` is false for an object that never had one.
 * @throws  {BnnError} E_FORMAT when the text is no JSON object, or differs in any way from what was written.
 */
export function openSealedJson(text: string, at: string): { fields: Record<string, unknown>; isSealed: boolean } {
  const { sha256: seal, ...fields } = parseJsonObject(text, at);
  if (seal === undefined) return { fields, isSealed: false };
  if (sealJson(fields) !== text) throw damaged(at, 'its text does not have the digest that it records');
  return { fields, isSealed: true };
}

/** @throws {BnnError} E_FORMAT when the bytes are not those that the digest was made of. */
export function assertDigest(bytes: Uint8Array, digest: string, at: string): void {
  if (sha256(bytes) !== digest) throw damaged(at, 'it does not have the digest that state.json records');
}

function damaged(at: string, how: string): BnnError {
  return new BnnError('E_FORMAT', `the file is damaged or was changed since it was written: ${how}`, {
    at,
    hint: 'take it from a copy, or use the other checkpoint of the run (last/ or best/)',
  });
}
