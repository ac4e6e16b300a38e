/** Loads tfjs's TensorFlow binding when it is installed; the package registers the tfjs backend `tensorflow` by itself. */

import { createRequire } from 'node:module';
import { type Found, found, obstacle } from '../../core/found.ts';
import { importQuietly, resolvePeer } from '../../core/peers-io.ts';
import { BnnError } from '../../errors.ts';
import { registerAccurateSums } from './accurate-sums.ts';
import { INSTALL_HINT, inspectTensorflow, TENSORFLOW_PACKAGES } from './packages.ts';

export interface LoadedTensorflow {
  readonly package: string;
  readonly hasGpu: boolean;
}

/** What the binding says about itself: true when TensorFlow found a GPU. */
function usesGpu(backend: unknown): boolean {
  return typeof backend === 'object' && backend !== null && 'isUsingGpuDevice' in backend
    ? backend.isUsingGpuDevice === true
    : false;
}

/** Functions of `node:util` that tfjs-node 4.22 calls and Node 23 removed. */
function restoreRemovedUtilities(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>;
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  util['isArray'] ??= Array.isArray;
}

/** TensorFlow reads these once, when its library is loaded; what the user has set stays. */
function setEnvironment(threads: number | undefined): void {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  if (threads !== undefined) process.env['TF_NUM_INTRAOP_THREADS'] ??= String(threads);
}

let result: Promise<Found<LoadedTensorflow>> | undefined;

/**
 * Imports the first package that works; a failure is returned with what to do about it. Once per process.
 *
 * @param threads  threads within an operation; only the first call can choose them.
 */
export function loadTensorflow(threads?: number): Promise<Found<LoadedTensorflow>> {
  result ??= load(threads);
  return result;
}

async function load(threads: number | undefined): Promise<Found<LoadedTensorflow>> {
  const lack = inspectTensorflow();
  if (lack !== null) return lack;
  const problems: string[] = [];
  for (const name of TENSORFLOW_PACKAGES) {
    if (resolvePeer('tensorflow', name) === null) continue;
    try {
      setEnvironment(threads);
      restoreRemovedUtilities();
      const tf = await import('@tensorflow/tfjs-core');
      await importQuietly('tensorflow', name);
      const backend: unknown = tf.engine().findBackend('tensorflow');
      if (backend === null || backend === undefined) throw new BnnError('E_BACKEND', `${name} registered no backend`);
      registerAccurateSums();
      return found({ package: name, hasGpu: usesGpu(backend) });
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    }
  }
  return obstacle(problems.join('; '), INSTALL_HINT);
}
