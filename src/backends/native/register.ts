/** Puts the `native` backend into tfjs. */

import * as tf from '@tensorflow/tfjs-core';
import type { Found } from '../../core/found.ts';
import { registerKernels } from '../../kernels/run.ts';
import { loadNativeAddon, type NativeAddon } from './addon.ts';
import { NativeBackend } from './backend.ts';
import { registerConvolutions } from './kernels/convolution.ts';
import { registerElementwise } from './kernels/elementwise.ts';
import { NATIVE } from './kernels/kernel.ts';
import { registerMatmul } from './kernels/matmul.ts';
import { registerMovement } from './kernels/movement.ts';
import { registerPooling } from './kernels/pooling.ts';
import { registerReductions } from './kernels/reduction.ts';
import { NATIVE_KERNELS } from './kernels/table.ts';

/** Before tensorflow (3) in tfjs's own order of choice, so that nothing chooses it without being asked. */
const PRIORITY = 0;

/**
 * Registers the backend `native` and its kernels, once; it does not become the current backend. Without the addon nothing is
 * registered and the reason is returned.
 */
export function registerNativeBackend(): Found<NativeAddon> {
  const loaded = loadNativeAddon();
  if (!loaded.ok) return loaded;
  const addon = loaded.value;
  if (tf.engine().registryFactory[NATIVE] === undefined) {
    tf.copyRegisteredKernels('cpu', NATIVE);
    registerConvolutions();
    registerMatmul();
    registerElementwise();
    registerReductions();
    registerPooling();
    registerMovement();
    registerKernels(NATIVE, NATIVE_KERNELS);
    tf.registerBackend(NATIVE, () => new NativeBackend(addon), PRIORITY);
  }
  return loaded;
}
