/** The packages that bind TensorFlow, and whether one is installed. */

import { type Obstacle, obstacle } from '../../core/found.ts';
import { resolvePeer } from '../../core/peers-io.ts';

/** Optional peers, best first. */
export const TENSORFLOW_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

export const INSTALL_HINT =
  'run bnn setup tensorflow, which uses an installed TensorFlow (pip install tensorflow-cpu, or tensorflow[and-cuda] for CUDA GPUs)';

/** Null where one is installed; whether it works is found by loading it. */
export function inspectTensorflow(): Obstacle | null {
  if (TENSORFLOW_PACKAGES.some((name) => resolvePeer('tensorflow', name) !== null)) return null;
  return obstacle(`neither ${TENSORFLOW_PACKAGES.join(' nor ')} is installed`, INSTALL_HINT);
}
