/** The `webgpu` backend as a backend of training. */

import { type Found, found } from '../../core/found.ts';
import type { LoadedBackend } from '../backend.ts';
import { CommandRecorder } from './command-recorder.ts';
import { WEBGPU_KERNELS } from './kernels/table.ts';
import { loadWebgpu } from './load.ts';
import { bandwidthPeak, multiplyAddPeak } from './peak.ts';

export async function openWebgpu(): Promise<Found<LoadedBackend>> {
  const loaded = await loadWebgpu();
  if (!loaded.ok) return loaded;
  const { backend, device, isSoftware, hasMatrixUnits } = loaded.value;
  const cores = hasMatrixUnits ? ', tensor cores' : '';
  return found({
    isGpu: !isSoftware,
    device,
    detail: `${device}${isSoftware ? ' (computes on the CPU)' : ''}${cores}`,
    kernels: WEBGPU_KERNELS,
    start: () => ({
      description: `webgpu, ${device}${isSoftware ? ' (software, slow)' : ''}${cores}`,
      threads: 1,
      isa: null,
      multiplyAddPeak: () => multiplyAddPeak(backend),
      bandwidthPeak: () => bandwidthPeak(backend),
      memory: () => ({
        bytesInUse: backend.bufferManager.numBytesUsed,
        peakBytes: backend.bufferManager.peakBytes,
      }),
      trimMemory: () => backend.bufferManager.trim(),
      recorder: new CommandRecorder(backend),
    }),
  });
}
