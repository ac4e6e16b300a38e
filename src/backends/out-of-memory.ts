/** Recognises that a device had too little memory, and finds a batch size that fits by trying. */

import { isFailedAllocation } from '../core/machine/memory.ts';
import { BnnError } from '../errors.ts';

const PATTERNS = [
  /\bOOM when allocating/i,
  /resource[ _]exhausted/i,
  /out[ _-]of[ _-](device[ _-])?memory/i,
  /failed to allocate/i,
  /not enough memory/i,
  // Of Dawn: one tensor alone is larger than the device takes.
  /exceeds the max buffer size limit/i,
  /larger than the maximum storage buffer binding size/i,
];

/** Whether an error, or what caused it, is a lack of memory on the device. */
export function isOutOfMemory(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    const { message } = e;
    if (isFailedAllocation(e)) return true;
    if (PATTERNS.some((pattern) => pattern.test(message))) return true;
  }
  return false;
}

/**
 * The error to report when a training step ran out of memory: it names the largest batch size, of the given one halved again and
 * again, that goes through.
 *
 * @param attempt  takes a training step with so many pictures and throws when it runs out of memory; it disposes what it made.
 * @param flag     the option that sets the batch size.
 */
export async function explainOutOfMemory(
  error: unknown,
  batchSize: number,
  attempt: (batchSize: number) => Promise<void>,
  flag = '--batch-size',
): Promise<BnnError> {
  const message = `there is too little memory for a training step of ${batchSize} pictures`;
  for (let smaller = Math.floor(batchSize / 2); smaller >= 1; smaller = Math.floor(smaller / 2)) {
    try {
      await attempt(smaller);
      return new BnnError('E_BACKEND', message, { hint: `${flag} ${smaller} fits`, cause: error });
    } catch (again) {
      if (!isOutOfMemory(again)) throw again;
    }
  }
  return new BnnError('E_BACKEND', `${message}, and for one picture`, {
    hint: 'close what else uses the device, or choose a smaller network',
    cause: error,
  });
}
