/** Ctrl-C, and a terminal that is closed: the first signal asks politely, the second ends the process. */

import { launchOf } from '../distributed/launcher.ts';
import { EXIT_INTERRUPTED } from './print-error.ts';

/** When a terminal is closed, the kernel and the shell both send SIGHUP: that is one request. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Launchers of MPI jobs hand this one on, and do nothing else; a scheduler can be told to send it before the end. */
const HANDED_ON = 'SIGUSR2';
/** A launcher sends its own signal after that of the terminal: so long, it is one request. */
const LAUNCHER_MS = 10_000;

/**
 * Runs `work` with a signal that fires at the first SIGINT, SIGTERM or SIGHUP. A second one but SIGHUP ends the process at once; what is on disk is
 * complete even then, since checkpoints appear by rename.
 *
 * @param onFirst  tells the user that the request was heard.
 */
export async function withInterrupt<T>(onFirst: () => void, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const isLaunched = launchOf() !== null;
  const signals: readonly NodeJS.Signals[] = isLaunched ? [...SIGNALS, HANDED_ON] : SIGNALS;
  let first = 0;
  const listener = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted && isLaunched && Date.now() - first < LAUNCHER_MS) return;
    first = Date.now();
    if (controller.signal.aborted && signal === 'SIGHUP') return;
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    if (signal === 'SIGHUP' && process.stderr.isTTY) process.once('exit', endWithTerminal);
    controller.abort();
    onFirst();
  };
  for (const name of signals) process.on(name, listener);
  try {
    return await work(controller.signal);
  } finally {
    for (const name of signals) process.off(name, listener);
  }
}

/** Node aborts, with a core file, when it cannot restore a terminal that is gone; so the process ends by the signal that it got. */
function endWithTerminal(): void {
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}
