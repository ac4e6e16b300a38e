/** Worker threads that run from the sources as well as from the built package. */

import { Worker, type WorkerOptions } from 'node:worker_threads';
import { isOutOfThreads, outOfThreads } from './scarce-threads.ts';

/**
 * Lets a worker run the sources; the built package needs none of it. `--import tsx` alone registers tsx in main threads only, so the
 * worker begins with a module, given as text, that registers it there. The bare name is looked up from this file, wherever the
 * process was started.
 */
const TYPESCRIPT_ARGUMENTS = [
  '--import',
  `data:text/javascript,${encodeURIComponent(
    `import { register } from 'node:module'; register('tsx/esm', ${JSON.stringify(import.meta.url)}, { data: {} });`,
  )}`,
];

/**
 * Starts a worker thread.
 *
 * @param base  `import.meta.url` of the caller.
 * @param name  of the module beside it, without extension.
 * @throws {BnnError} E_BACKEND when the system starts no more threads.
 */
export function startWorker(base: string, name: string, options: WorkerOptions = {}): Worker {
  const fromSources = base.endsWith('.ts');
  try {
    return new Worker(new URL(`./${name}.${fromSources ? 'ts' : 'js'}`, base), {
      ...options,
      execArgv: fromSources ? TYPESCRIPT_ARGUMENTS : [],
    });
  } catch (error) {
    throw isOutOfThreads(error) ? outOfThreads(name, error) : error;
  }
}
