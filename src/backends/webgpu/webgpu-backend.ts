/** The parts of tfjs's WebGPU backend that this folder uses, and what it puts in their place. */

import type * as tf from '@tensorflow/tfjs-core';
import type { BufferPool } from './buffer-pool.ts';
import type { GpuBuffer, GpuDevice, GpuEncoder, GpuPass } from './device.ts';

interface TensorData {
  resource: GpuBuffer | null;
  values: ArrayLike<number> | null;
  readonly dtype: string;
}

/** tfjs's WebGPUBackend, including what its declarations call private. */
export interface WebgpuBackend extends tf.KernelBackend {
  readonly device: GpuDevice;
  readonly tensorMap: { get(id: object): TensorData };
  bufferManager: BufferPool;
  readonly uniformPendingDisposal: GpuBuffer[];
  commandQueueOwnedIds: unknown;
  computePassEncoder: GpuPass | null;
  commandEncoder: GpuEncoder | null;
  dispatchCountInPass: number;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  uploadToGPU(id: object): void;
  makeTensorInfo(shape: number[], dtype: tf.DataType, values?: Float32Array): tf.TensorInfo;
  disposeData(id: object, force?: boolean): boolean;
  getBufferData(buffer: GpuBuffer): Promise<ArrayBuffer>;
}
