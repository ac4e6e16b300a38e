/** The `cpu` backend as a backend of training. */

import { type Found, found } from '../../core/found.ts';
import { noKernels } from '../../kernels/contract.ts';
import type { LoadedBackend } from '../backend.ts';
import { engineMemory } from '../engine-memory.ts';
import { CPU_DETAIL } from './detail.ts';
import { registerCpuBackend } from './register.ts';

const KERNELS = noKernels('it is the reference that the kernels of other backends are compared with');

export function openCpu(): Found<LoadedBackend> {
  registerCpuBackend();
  return found({
    isGpu: false,
    device: 'plain JavaScript',
    detail: CPU_DETAIL,
    kernels: KERNELS,
    start: () => ({ description: 'cpu, plain JavaScript (slow)', threads: 1, isa: null, memory: engineMemory }),
  });
}
