/** Threads of Node that work for kernels in WebAssembly. */

import { Worker } from 'node:worker_threads';
import { type KernelThread, type StartedThread, WORK } from './kernel-thread.ts';

const SCRIPT = `${WORK}
const { parentPort, workerData } = require('node:worker_threads');
work(workerData, (begin) => {
  parentPort.postMessage('begun');
  begin();
});`;

/**
 * Starts a thread. Once it works it keeps no process alive.
 *
 * @throws {Error} where the system starts no more threads.
 */
export function startNodeThread(thread: KernelThread): StartedThread {
  const worker = new Worker(SCRIPT, { eval: true, workerData: thread, execArgv: [], env: {} });
  const begun = new Promise<void>((resolve, reject) => {
    worker.once('message', () => {
      worker.unref();
      resolve();
    });
    // It stays: an error that nobody handles ends the process.
    worker.on('error', reject);
    worker.once('exit', (code) => reject(new Error(`a worker thread ended with code ${code}`)));
  });
  return {
    begun,
    end: async () => {
      await worker.terminate();
    },
  };
}
