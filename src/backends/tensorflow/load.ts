/** Loads tfjs's TensorFlow binding when it is installed; the package registers the tfjs backend `tensorflow` by itself. */

import { BnnError } from '../../errors.ts';

/** Optional peers, best first. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

export type TensorflowLoad =
  | { readonly ok: true; readonly package: string; readonly hasGpu: boolean }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

const INSTALL_HINT = `npm install ${PACKAGES[1]} (CPU) or ${PACKAGES[0]} (CUDA)`;

function isNotFound(error: unknown, name: string): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  const text = error instanceof Error ? error.message : String(error);
  return (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && text.includes(name);
}

/** What the binding says about itself: tfjs-node-gpu sets isUsingGpuDevice on its backend when TensorFlow found a device. */
function usesGpu(backend: unknown): boolean {
  return typeof backend === 'object' && backend !== null && 'isUsingGpuDevice' in backend
    ? backend.isUsingGpuDevice === true
    : false;
}

let result: Promise<TensorflowLoad> | undefined;

/** Imports the first package that works; a failure is returned with what to do about it. Once per process. */
export function loadTensorflow(): Promise<TensorflowLoad> {
  result ??= load();
  return result;
}

async function load(): Promise<TensorflowLoad> {
  const problems: string[] = [];
  for (const name of PACKAGES) {
    try {
      await import(name);
      const tf = await import('@tensorflow/tfjs-core');
      const backend: unknown = tf.engine().findBackend('tensorflow');
      if (backend === null || backend === undefined) throw new BnnError('E_BACKEND', `${name} registered no backend`);
      return { ok: true, package: name, hasGpu: usesGpu(backend) };
    } catch (error) {
      if (isNotFound(error, name)) continue;
      problems.push(`${name}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    }
  }
  if (problems.length > 0) {
    return { ok: false, reason: problems.join('; '), hint: 'reinstall the package for this Node version' };
  }
  return { ok: false, reason: `neither ${PACKAGES.join(' nor ')} is installed`, hint: INSTALL_HINT };
}
