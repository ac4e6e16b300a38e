/** The kernels of the contract that the `webgpu` backend has. */

import { kernelSet } from '../../../kernels/contract.ts';
import type { WebgpuBackend } from '../webgpu-backend.ts';
import { BATCH_NORM_KERNELS } from './batch-norm.ts';
import { BINARY_CONVOLUTION_KERNELS } from './binary-convolution.ts';
import { ELEMENTWISE_KERNELS } from './elementwise.ts';
import { PICTURE_KERNELS } from './normalize-bytes.ts';

const NO_GROUPS = 'no shader knows groups or dilations; the composition calls Conv2D, which is one of ours';

const NO_SYNC = 'statistics of several processes are not read back from a GPU in the middle of a step';

export const WEBGPU_KERNELS = kernelSet<WebgpuBackend>()(
  { ...PICTURE_KERNELS, ...ELEMENTWISE_KERNELS, ...BATCH_NORM_KERNELS, ...BINARY_CONVOLUTION_KERNELS },
  {
    BnnBatchNormMoments: NO_SYNC,
    BnnBatchNormGradSums: NO_SYNC,
    BnnBatchNormGradApply: NO_SYNC,
    BnnConv: NO_GROUPS,
    BnnConvInputGrad: NO_GROUPS,
    BnnConvFilterGrad: NO_GROUPS,
    BnnClipGrad: 'no shader is written; the composition is up to five element-wise ones of tfjs',
    BnnSignGradDsq: 'no shader is written; the composition is element-wise ones of tfjs and a sum',
  },
);
