/** What to do where the system starts no more threads: a limit of processes (`ulimit -u`) or of a container (pids) is reached. */

import { BnnError } from '../../errors.ts';

const REFUSALS =
  /ERR_WORKER_INIT_FAILED|\bEAGAIN\b|pthread_create|creating thread|Resource temporarily unavailable|std::system_error/i;

/** Whether an error of Node, libvips or onnxruntime says that a thread could not be started. */
export function isOutOfThreads(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return REFUSALS.test(error.message) || ('code' in error && error.code === 'ERR_WORKER_INIT_FAILED');
}

/** @param what  that cannot do without a thread. */
export function outOfThreads(what: string, cause?: unknown): BnnError {
  return new BnnError('E_BACKEND', `${what} needs a thread, and the system starts no more`, {
    hint: 'raise the limit of processes (ulimit -u, or the pids limit of the container), or use fewer threads',
    cause,
  });
}

const said = new Set<string>();

/** Says once per process, as a warning of Node, how something gets on with fewer threads. */
export function sayFewerThreads(what: string): void {
  if (said.has(what)) return;
  said.add(what);
  process.emitWarning(`${what}, for the system starts no more`, { code: 'BNN_THREADS' });
}
