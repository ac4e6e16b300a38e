/** Puts the `native` backend into tfjs. */

import * as tf from '@tensorflow/tfjs-core';
import { kernelSet } from '../../kernels/contract.ts';
import { registerKernels } from '../../kernels/run.ts';
import { loadNativeAddon, type NativeAddon } from './addon.ts';
import { NativeBackend } from './backend.ts';
import { BATCH_NORM_KERNELS } from './kernels/batch-norm.ts';
import { BINARY_CONVOLUTION_KERNELS } from './kernels/binary-convolution.ts';
import { CONVOLUTION_KERNELS, registerConvolutions } from './kernels/convolution.ts';
import { CLIP_KERNELS, registerElementwise } from './kernels/elementwise.ts';
import { NATIVE } from './kernels/kernel.ts';
import { registerMatmul } from './kernels/matmul.ts';
import { registerMovement } from './kernels/movement.ts';
import { OPTIMIZER_KERNELS } from './kernels/optimizers.ts';
import { registerPooling } from './kernels/pooling.ts';
import { MAGNITUDE_KERNELS, registerReductions } from './kernels/reduction.ts';
import { SIGN_KERNELS } from './kernels/sign.ts';

export type Registration =
  | { readonly ok: true; readonly isa: string; readonly addon: NativeAddon }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

/** All of the contract. */
export const NATIVE_KERNELS = kernelSet<NativeBackend>()(
  {
    ...SIGN_KERNELS,
    ...CLIP_KERNELS,
    ...MAGNITUDE_KERNELS,
    ...BATCH_NORM_KERNELS,
    ...CONVOLUTION_KERNELS,
    ...BINARY_CONVOLUTION_KERNELS,
    ...OPTIMIZER_KERNELS,
  },
  {},
);

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
    registerMatmul();
    registerElementwise();
    registerReductions();
    registerPooling();
    registerMovement();
    registerKernels(NATIVE, NATIVE_KERNELS);
    tf.registerBackend(NATIVE, () => new NativeBackend(addon), PRIORITY);
  }
  return { ok: true, isa: addon.isa(), addon };
}
