/** The packages that bind TensorFlow, and whether one is installed. */

import { type Obstacle, obstacle } from '../../core/found.ts';
import { resolvePeer, setupFolder } from '../../core/machine/peers-io.ts';

/** Optional peers. */
export const TENSORFLOW_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

export const INSTALL_HINT =
  'run bnn setup tensorflow, which uses an installed TensorFlow (pip install tensorflow-cpu, or tensorflow[and-cuda] for CUDA GPUs)';

/**
 * Those that are installed, best first. One that `bnn setup tensorflow` built was seen to work, against a TensorFlow of the user's choice;
 * the package for GPUs comes with TensorFlow 2.9, which knows no current one and would then compute on the CPU.
 */
export function installedPackages(resolve: (name: string) => string | null = resolveHere): string[] {
  const entries = TENSORFLOW_PACKAGES.map((name) => ({ name, path: resolve(name) })).filter(
    ({ path }) => path !== null,
  );
  const isBuilt = (path: string | null) => path?.startsWith(setupFolder('tensorflow')) === true;
  return [...entries.filter(({ path }) => isBuilt(path)), ...entries.filter(({ path }) => !isBuilt(path))].map(
    ({ name }) => name,
  );
}

function resolveHere(name: string): string | null {
  return resolvePeer('tensorflow', name);
}

/** Null where one is installed; whether it works is found by loading it. */
export function inspectTensorflow(): Obstacle | null {
  if (installedPackages().length > 0) return null;
  return obstacle(`neither ${TENSORFLOW_PACKAGES.join(' nor ')} is installed`, INSTALL_HINT);
}
