/** Loads tfjs's TensorFlow binding when it is installed; the package registers the tfjs backend `tensorflow` by itself. */

import { createRequire } from 'node:module';
import { type Found, found, obstacle } from '../../core/found.ts';
import { hasNvidiaDriver } from '../../core/machine/nvidia-driver-io.ts';
import { importQuietly } from '../../core/machine/peers-io.ts';
import { BnnError } from '../../errors.ts';
import { registerAccurateSums } from './accurate-sums.ts';
import { INSTALL_HINT, inspectTensorflow, installedPackages } from './packages.ts';

export interface LoadedTensorflow {
  readonly package: string;
  readonly hasGpu: boolean;
  /** Why not, as far as that is known. */
  readonly lack: string | null;
}

/** TensorFlow itself says it only among its messages, while it is loaded. */
function gpuLack(): string {
  if (process.env['CUDA_VISIBLE_DEVICES'] === '' || process.env['CUDA_VISIBLE_DEVICES'] === '-1')
    return 'CUDA_VISIBLE_DEVICES hides the GPUs';
  if (process.platform === 'linux' && !hasNvidiaDriver()) return 'there is no NVIDIA driver';
  return 'this TensorFlow is for the CPU, or does not find its CUDA libraries: TF_CPP_MIN_LOG_LEVEL=0 shows what it says';
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
  // Else it takes all of the memory of a GPU at once, also from what else runs there.
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
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
  for (const name of installedPackages()) {
    try {
      setEnvironment(threads);
      restoreRemovedUtilities();
      const tf = await import('@tensorflow/tfjs-core');
      await importQuietly('tensorflow', name);
      const backend: unknown = tf.engine().findBackend('tensorflow');
      if (backend === null || backend === undefined) throw new BnnError('E_BACKEND', `${name} registered no backend`);
      registerAccurateSums();
      const hasGpu = usesGpu(backend);
      return found({ package: name, hasGpu, lack: hasGpu ? null : gpuLack() });
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    }
  }
  return obstacle(problems.join('; '), INSTALL_HINT);
}
