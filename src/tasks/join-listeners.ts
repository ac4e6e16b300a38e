/** Several who listen to one training. */

import type { TrainListeners } from '../training/sessions/train-options.ts';

type Listener = (...given: readonly unknown[]) => unknown;

/** Each is told, in order; where one takes time, the next waits. Only what is called `on…` listens. */
export function joinListeners(all: readonly TrainListeners[]): TrainListeners {
  const joined: Record<string, Listener> = {};
  for (const name of new Set(all.flatMap((one) => Object.keys(one)))) {
    if (!name.startsWith('on')) continue;
    const listeners = all.flatMap((one) => (one as Readonly<Record<string, Listener | undefined>>)[name] ?? []);
    joined[name] = (...given) => inTurn(listeners, given);
  }
  return joined as TrainListeners;
}

/** Not a promise unless one of them is: some are told in the middle of a step. */
function inTurn(listeners: readonly Listener[], given: readonly unknown[]): unknown {
  const [first, ...rest] = listeners;
  if (first === undefined) return undefined;
  const result = first(...given);
  return result instanceof Promise ? result.then(() => inTurn(rest, given)) : inTurn(rest, given);
}
