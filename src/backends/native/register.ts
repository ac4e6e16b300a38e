/** Puts the `native` backend into tfjs. */

import * as tf from '@tensorflow/tfjs-core';
import { loadNativeAddon, type NativeAddon } from './addon.ts';
import { NativeBackend } from './backend.ts';
import { registerBatchNorm } from './kernels/batch-norm.ts';
import { registerBinaryConvolutions } from './kernels/binary-convolution.ts';
import { registerConvolutions } from './kernels/convolution.ts';
import { registerElementwise } from './kernels/elementwise.ts';
import { NATIVE } from './kernels/kernel.ts';
import { registerMatmul } from './kernels/matmul.ts';
import { registerMovement } from './kernels/movement.ts';
import { registerOptimizers } from './kernels/optimizers.ts';
import { registerPooling } from './kernels/pooling.ts';
import { registerReductions } from './kernels/reduction.ts';
import { registerSign } from './kernels/sign.ts';

export type Registration =
  | { readonly ok: true; readonly isa: string; readonly addon: NativeAddon }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

/** Before tensorflow (3) in tfjs's own order of choice, so that nothing chooses it without being asked. */
const PRIORITY = 0;

/**
 * Registers the backend `native` and its kernels, once; it does not become the current backend. Without the addon nothing is
 * registered and the reason is returned.
 */
export function registerNativeBackend(): Registration {
  const loaded = loadNativeAddon();
  if (!loaded.ok) return loaded;
  const { addon } = loaded;
  if (tf.engine().registryFactory[NATIVE] === undefined) {
    tf.copyRegisteredKernels('cpu', NATIVE);
    registerConvolutions();
    registerBinaryConvolutions();
    registerMatmul();
    registerElementwise();
    registerReductions();
    registerPooling();
    registerMovement();
    registerSign();
    registerBatchNorm();
    registerOptimizers();
    tf.registerBackend(NATIVE, () => new NativeBackend(addon), PRIORITY);
  }
  return { ok: true, isa: addon.isa(), addon };
}
