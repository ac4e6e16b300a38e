/** The packages of the `webgpu` backend, and whether they are installed. */

import { type Obstacle, obstacle } from '../../core/found.ts';
import { resolvePeer } from '../../core/machine/peers-io.ts';

export const WEBGPU_PACKAGES = ['webgpu', '@tensorflow/tfjs-backend-webgpu'] as const;
const SETUP_HINT = 'bnn setup webgpu';

/** Null where both are installed; whether there is a device is found by loading them. */
export function inspectWebgpu(): Obstacle | null {
  const missing = WEBGPU_PACKAGES.find((name) => resolvePeer('webgpu', name) === null);
  return missing === undefined ? null : obstacle(`${missing} is not installed`, SETUP_HINT);
}
