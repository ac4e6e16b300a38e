/**
 * Long computations as generators that yield between their parts, so that the caller decides whether anything else gets a turn:
 * kernels of the native backend compute inside of JavaScript calls, and signals, timers and messages of the data loader wait.
 */

import { nextTurn } from '../../core/machine/next-turn.ts';

/** Longest time without a turn of the event loop, but for the part that is running: short enough for who presses Ctrl-C. */
const TURN_MS = 50;

/** Runs everything at once. */
export function runAtOnce<T>(work: Generator<void, T>): T {
  let part = work.next();
  while (part.done !== true) part = work.next();
  return part.value;
}

/** Gives the event loop a turn whenever `TURN_MS` have passed. */
export async function runInTurns<T>(work: Generator<void, T>, now = () => performance.now()): Promise<T> {
  let begin = now();
  let part = work.next();
  while (part.done !== true) {
    if (now() - begin >= TURN_MS) {
      await nextTurn();
      begin = now();
    }
    part = work.next();
  }
  return part.value;
}
