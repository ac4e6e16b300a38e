/** How many threads a session of onnxruntime may be given. Where it cannot start one, it fails or ends the process. */

import { availableParallelism } from 'node:os';
import { sayFewerThreads } from '../core/machine/scarce-threads.ts';
import { loadOrtAddon } from './native-addon.ts';

/**
 * `wanted`, or fewer where the system starts no more; says so once. Without the addon nothing is known, and `wanted` is returned.
 *
 * @param wanted  threads inside an operator; 0: as many as onnxruntime chooses, one for each core.
 */
export function affordableThreads(wanted: number): number {
  const found = loadOrtAddon();
  if (!found.ok) return wanted;
  const count = wanted === 0 ? availableParallelism() : wanted;
  // The thread that runs a session is one of them.
  const startable = found.value.addon.startableThreads(count - 1) + 1;
  if (startable >= count) return wanted;
  sayFewerThreads(`onnxruntime runs on ${startable} of ${count} threads`);
  return startable;
}
