/** The `tensorflow` backend as a backend of training. */

import { type Found, found } from '../../core/found.ts';
import { noKernels } from '../../kernels/contract.ts';
import type { LoadedBackend } from '../backend.ts';
import { engineMemory } from '../engine-memory.ts';
import { loadTensorflow } from './load.ts';

const KERNELS = noKernels("tfjs's binding of TensorFlow calls only operations that TensorFlow has");

export async function openTensorflow(threads?: number): Promise<Found<LoadedBackend>> {
  const loaded = await loadTensorflow(threads);
  if (!loaded.ok) return loaded;
  const { package: name, hasGpu, lack } = loaded.value;
  const device = hasGpu ? 'GPU' : 'CPU';
  return found({
    isGpu: hasGpu,
    device,
    detail: `${name}, ${device}${lack === null ? '' : ` (${lack})`}`,
    ...(lack !== null && { gpuLack: lack }),
    kernels: KERNELS,
    start: (threads) => ({ description: `tensorflow ${device} (${name})`, threads, isa: null, memory: engineMemory }),
  });
}
