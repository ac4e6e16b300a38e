/** The `webgpu` backend as a backend of training. */

import { type Found, found } from '../../core/found.ts';
import type { LoadedBackend } from '../backend.ts';
import { CommandRecorder } from './command-recorder.ts';
import { WEBGPU_KERNELS } from './kernels/table.ts';
import { loadWebgpu } from './load.ts';
import { multiplyAddPeak } from './peak.ts';

export async function openWebgpu(): Promise<Found<LoadedBackend>> {
  const loaded = await loadWebgpu();
  if (!loaded.ok) return loaded;
  const { backend, device, isSoftware } = loaded.value;
  return found({
    isGpu: !isSoftware,
    device,
    detail: `${device}${isSoftware ? ' (computes on the CPU)' : ''}`,
    kernels: WEBGPU_KERNELS,
    start: () => ({
      description: `webgpu, ${device}${isSoftware ? ' (software, slow)' : ''}`,
      threads: 1,
      isa: null,
      multiplyAddPeak: () => multiplyAddPeak(backend),
      memory: () => ({
        bytesInUse: backend.bufferManager.numBytesUsed,
        peakBytes: backend.bufferManager.peakBytes,
      }),
      trimMemory: () => backend.bufferManager.trim(),
      recorder: new CommandRecorder(backend),
    }),
  });
}
