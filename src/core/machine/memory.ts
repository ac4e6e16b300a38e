/** How much memory there is, and errors that say that there was too little. */

import { BnnError } from '../../errors.ts';

/** The rest is the system's, and that of code. */
const USABLE_SHARE = 0.9;

/** Bytes that this process may use for data: nearly all of the machine's, or of what a container leaves it. A browser does not tell. */
export function usableMemory(): number {
  if (globalThis.process === undefined) return Infinity;
  const { totalmem } = process.getBuiltinModule('node:os');
  const constrained = process.constrainedMemory();
  return USABLE_SHARE * (constrained > 0 ? Math.min(constrained, totalmem()) : totalmem());
}

const FAILED_ALLOCATIONS = [
  /^array buffer allocation failed/i,
  /^invalid (typed array|array buffer) length: \d/i,
  /^invalid (array|array buffer|string) length$/i,
  /^cannot create a string longer than/i,
  /^out of memory for the scratch space/i,
];

/** Whether JavaScript, or our own addons, could not get the memory for something; not whether a device could not. */
export function isFailedAllocation(error: unknown): boolean {
  return error instanceof Error && FAILED_ALLOCATIONS.some((pattern) => pattern.test(error.message));
}

/**
 * A BnnError in place of a failed allocation; other errors pass unchanged.
 *
 * @param action  what was being done, after "there is too little memory to".
 */
export function fromFailedAllocation(error: unknown, action: string): unknown {
  if (!(error instanceof Error) || error instanceof BnnError || !isFailedAllocation(error)) return error;
  return new BnnError('E_BACKEND', `there is too little memory to ${action}: ${error.message}`, {
    hint: 'choose smaller sizes, or a machine with more memory',
    cause: error,
  });
}

/** `12.3 GB`. */
export function formatGigabytes(bytes: number): string {
  return `${Number((bytes / 1e9).toPrecision(3)).toLocaleString('en-US')} GB`;
}
