/** The kernels of the contract that the `native` backend has: all that it needs. */

import { kernelSet } from '../../../kernels/contract.ts';
import type { NativeBackend } from '../backend.ts';
import { BATCH_NORM_KERNELS } from './batch-norm.ts';
import { BINARY_CONVOLUTION_KERNELS } from './binary-convolution.ts';
import { CONVOLUTION_KERNELS } from './convolution.ts';
import { CLIP_KERNELS } from './elementwise.ts';
import { OPTIMIZER_KERNELS } from './optimizers.ts';
import { MAGNITUDE_KERNELS } from './reduction.ts';
import { SIGN_KERNELS } from './sign.ts';

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
  { BnnNormalizeBytes: 'the threads that make batches normalize them' },
);
