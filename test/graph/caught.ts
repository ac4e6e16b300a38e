import { BnnError } from '../../src/errors.ts';

/** The BnnError that an action throws. */
export function caught(action: () => unknown): BnnError {
  try {
    action();
  } catch (error) {
    if (error instanceof BnnError) return error;
    throw error;
  }
  throw new Error('expected a BnnError, but nothing was thrown');
}
