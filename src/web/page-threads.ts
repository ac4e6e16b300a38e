/** Threads of a browser for the kernels. */

import { type KernelThread, type StartedThread, WORK } from '../core/machine/kernel-thread.ts';
import { MOST_THREADS, shareMemory, type Team } from '../engine/engine-threads.ts';
import { BnnError } from '../errors.ts';

interface WebWorker {
  postMessage(message: unknown): void;
  terminate(): void;
  onmessage: (() => void) | null;
  onerror: ((event: { readonly message?: string; preventDefault(): void }) => void) | null;
}

interface Browser {
  readonly Worker?: new (url: string) => WebWorker;
  readonly crossOriginIsolated?: boolean;
  /** Of a page, not of a worker. */
  readonly window?: unknown;
  readonly navigator?: { readonly hardwareConcurrency?: number };
}

const browser = globalThis as unknown as Browser;

/** More are of little use to layers of usual sizes. */
const SUITABLE_THREADS = 4;

/** Begins when the worker has told so, for a browser may deliver that only in between. */
const SCRIPT = `${WORK}
onmessage = ({ data }) => work(data, (begin) => {
  postMessage('begun');
  setTimeout(begin);
});`;

/** Who works on a session, or why one thread does. */
export type TeamChoice =
  | { readonly team: Team; readonly problem?: undefined }
  | { readonly team?: undefined; readonly problem: string | undefined };

/**
 * @param wanted  threads; 0: as many as suit the machine.
 * @throws {BnnError} E_USAGE for another number.
 */
export function chooseTeam(wanted: number): TeamChoice {
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > MOST_THREADS) {
    throw new BnnError('E_USAGE', `threads is ${wanted}, expected an integer from 0 to ${MOST_THREADS}`);
  }
  const threads = wanted || Math.min(browser.navigator?.hardwareConcurrency ?? 1, SUITABLE_THREADS);
  if (threads === 1) return { problem: undefined };
  if (browser.crossOriginIsolated !== true) return { problem: 'the page is not cross-origin isolated' };
  if (browser.Worker === undefined) return { problem: 'there are no workers here' };
  const memory = shareMemory();
  if (memory === undefined) return { problem: 'the browser has no memory to share' };
  return { team: { threads, memory, start: startWebThread, callerMayWait: browser.window === undefined } };
}

/** Starts one; it begins when the event loop of who calls has turned. */
export function startWebThread(thread: KernelThread): StartedThread {
  const { Worker } = browser;
  if (Worker === undefined) throw new Error('internal: there are no workers');
  const url = URL.createObjectURL(new Blob([SCRIPT], { type: 'text/javascript' }));
  const worker = new Worker(url);
  const begun = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`a worker does not start${event.message ? `: ${event.message}` : ''}`));
    };
  });
  worker.postMessage(thread);
  const revoke = (): void => URL.revokeObjectURL(url);
  begun.then(revoke, revoke);
  return { begun, end: async () => worker.terminate() };
}
