/** The parts of WebGPU that this folder uses; the packages are optional, so their types are not there. */

export interface GpuBuffer {
  readonly size: number;
  readonly usage: number;
  destroy(): void;
}

export type GpuPipeline = { getBindGroupLayout(index: number): object };

/** Only ever passed on. */
export type GpuBindGroup = object;

export interface GpuPass {
  setPipeline(pipeline: GpuPipeline): void;
  setBindGroup(index: number, group: GpuBindGroup): void;
  dispatchWorkgroups(x: number, y?: number, z?: number): void;
  end(): void;
}

export interface GpuEncoder {
  beginComputePass(descriptor: object): GpuPass;
  copyBufferToBuffer(from: GpuBuffer, fromOffset: number, to: GpuBuffer, toOffset: number, size: number): void;
  finish(): object;
}

interface BindGroupDescriptor {
  readonly layout: object;
  readonly entries: readonly { readonly binding: number; readonly resource: { readonly buffer: GpuBuffer } }[];
}

export interface GpuDevice {
  readonly limits: Readonly<Record<string, number>>;
  readonly features: ReadonlySet<string>;
  readonly queue: {
    writeBuffer(buffer: GpuBuffer, offset: number, data: ArrayBuffer | ArrayBufferView): void;
    onSubmittedWorkDone(): Promise<unknown>;
  };
  createShaderModule(descriptor: { code: string; label?: string }): object;
  createComputePipeline(descriptor: object): GpuPipeline;
  createBindGroup(descriptor: BindGroupDescriptor): GpuBindGroup;
  createBuffer(descriptor: { size: number; usage: number; mappedAtCreation?: boolean }): GpuBuffer;
  createCommandEncoder(): GpuEncoder;
  addEventListener(type: 'uncapturederror', listener: (event: { error: { readonly message: string } }) => void): void;
  readonly lost: Promise<{ reason: string; message: string }>;
}

export interface GpuAdapter {
  readonly info: Readonly<Record<string, unknown>>;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: ReadonlySet<string>;
  requestDevice(descriptor: object): Promise<GpuDevice>;
}
