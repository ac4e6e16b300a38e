/** Whether something works here; if not, why, and what to do. */

import { BnnError } from '../errors.ts';

export interface Obstacle {
  readonly ok: false;
  readonly reason: string;
  /** A command, a flag, or what to install. */
  readonly hint: string;
  /** Whether no machine like this can have it. */
  readonly isElsewhere?: true;
}

/** Something that is there, or why not and what to do. */
export type Found<T> = { readonly ok: true; readonly value: T } | Obstacle;

export function found<T>(value: T): Found<T> {
  return { ok: true, value };
}

export function obstacle(reason: string, hint: string): Obstacle {
  return { ok: false, reason, hint };
}

/**
 * What was found.
 *
 * @param claim  put before the reason, e.g. `the webgpu backend does not work here`.
 * @throws {BnnError} E_BACKEND with reason and hint.
 */
export function requireFound<T>(result: Found<T>, claim?: string): T {
  if (result.ok) return result.value;
  const { reason, hint } = result;
  throw new BnnError('E_BACKEND', claim === undefined ? reason : `${claim}: ${reason}`, { hint });
}

/** A line of `bnn doctor`. */
export interface Finding<Name extends string = string> {
  readonly name: Name;
  readonly works: boolean;
  /** What is there, or why it does not work. */
  readonly detail: string;
  /** What to do when it does not work. */
  readonly hint?: string | undefined;
  /** Whether no machine like this can have it, so that nothing is to be done. */
  readonly isElsewhere?: true;
}

export function findingOf<Name extends string>(name: Name, result: Found<string>): Finding<Name> {
  if (result.ok) return { name, works: true, detail: result.value };
  const { reason, hint, isElsewhere } = result;
  return { name, works: false, detail: reason, hint, ...(isElsewhere === true ? { isElsewhere } : {}) };
}
