/** Puts the kernels of the `native` backend into tfjs. */

import * as tf from '@tensorflow/tfjs-core';
import { registerKernels } from '../../kernels/run.ts';
import { registerConvolutions } from './kernels/convolution.ts';
import { registerElementwise } from './kernels/elementwise.ts';
import { inheritedKernel, NATIVE } from './kernels/kernel.ts';
import { registerMatmul } from './kernels/matmul.ts';
import { registerMovement } from './kernels/movement.ts';
import { registerPooling } from './kernels/pooling.ts';
import { registerReductions } from './kernels/reduction.ts';
import { NATIVE_KERNELS } from './kernels/table.ts';

/** Puts the kernels into tfjs under the name of the backend, once; they call whatever addon their backend has. */
export function registerNativeKernels(): void {
  if (tf.getKernel('Conv2D', NATIVE) !== undefined) return;
  for (const inherited of tf.getKernelsForBackend('cpu')) {
    tf.registerKernel({ ...inherited, backendName: NATIVE, kernelFunc: inheritedKernel(inherited) });
  }
  registerConvolutions();
  registerMatmul();
  registerElementwise();
  registerReductions();
  registerPooling();
  registerMovement();
  registerKernels(NATIVE, NATIVE_KERNELS);
}
