/** Ctrl-C: the first asks politely, the second ends the process. */

import { EXIT_INTERRUPTED } from './print-error.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs `work` with a signal that fires at the first SIGINT or SIGTERM. A second one ends the process at once; what is on disk is
 * complete even then, since checkpoints appear by rename.
 *
 * @param onFirst  tells the user that the request was heard.
 */
export async function withInterrupt<T>(onFirst: () => void, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const listener = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
    onFirst();
  };
  for (const name of SIGNALS) process.on(name, listener);
  try {
    return await work(controller.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, listener);
  }
}
