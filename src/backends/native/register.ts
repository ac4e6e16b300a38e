/** Puts the `native` backend into tfjs. */

import * as tf from '@tensorflow/tfjs-core';
import type { Found } from '../../core/found.ts';
import { loadNativeAddon, type ProgramAddon } from './addon.ts';
import { NativeBackend } from './backend.ts';
import { NATIVE } from './kernels/kernel.ts';
import { registerNativeKernels } from './register-kernels.ts';

/** Before tensorflow (3) in tfjs's own order of choice, so that nothing chooses it without being asked. */
const PRIORITY = 0;

/**
 * Registers the backend `native` and its kernels, once; it does not become the current backend. Without the addon nothing is
 * registered and the reason is returned.
 */
export function registerNativeBackend(): Found<ProgramAddon> {
  const loaded = loadNativeAddon();
  if (!loaded.ok) return loaded;
  const addon = loaded.value;
  if (tf.engine().registryFactory[NATIVE] === undefined) {
    registerNativeKernels();
    tf.registerBackend(NATIVE, () => new NativeBackend(addon), PRIORITY);
  }
  return loaded;
}
