/** The parts of WebGPU and of tfjs's WebGPU backend that this folder uses; the packages are optional, so their types are not there. */

import type * as tf from '@tensorflow/tfjs-core';

export interface GpuBuffer {
  readonly size: number;
}

export type GpuPipeline = { getBindGroupLayout(index: number): object };

interface GpuPass {
  setPipeline(pipeline: GpuPipeline): void;
  setBindGroup(index: number, group: object): void;
  dispatchWorkgroups(x: number, y: number, z: number): void;
}

export interface GpuDevice {
  readonly limits: Readonly<Record<string, number>>;
  readonly features: ReadonlySet<string>;
  readonly queue: { writeBuffer(buffer: GpuBuffer, offset: number, data: ArrayBuffer): void };
  createShaderModule(descriptor: { code: string; label?: string }): object;
  createComputePipeline(descriptor: object): GpuPipeline;
  createBindGroup(descriptor: object): object;
  createBuffer(descriptor: { size: number; usage: number }): GpuBuffer;
  addEventListener(type: 'uncapturederror', listener: (event: { error: Error }) => void): void;
  readonly lost: Promise<{ reason: string; message: string }>;
}

export interface GpuAdapter {
  readonly info: Readonly<Record<string, unknown>>;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: ReadonlySet<string>;
  requestDevice(descriptor: object): Promise<GpuDevice>;
}

/** tfjs's WebGPUBackend, including what its declarations call private. */
export interface WebgpuBackend extends tf.KernelBackend {
  readonly device: GpuDevice;
  readonly tensorMap: { get(id: object): { resource: GpuBuffer | null; values: unknown; dtype: string } };
  readonly bufferManager: {
    acquireBuffer(size: number, usage: number): GpuBuffer;
    readonly numBytesUsed: number;
    readonly numBytesAllocated: number;
  };
  readonly uniformPendingDisposal: GpuBuffer[];
  commandQueueOwnedIds: unknown;
  computePassEncoder: GpuPass | null;
  commandEncoder: { beginComputePass(descriptor: object): GpuPass } | null;
  dispatchCountInPass: number;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  uploadToGPU(id: object): void;
  makeTensorInfo(shape: number[], dtype: tf.DataType, values?: Float32Array): tf.TensorInfo;
  disposeData(id: object): boolean;
  getBufferData(buffer: GpuBuffer): Promise<ArrayBuffer>;
}
