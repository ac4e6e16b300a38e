/** The tfjs backend `native`: the storage of tfjs-backend-cpu with pooled memory, under kernels of the C++ addon. */

import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import type { backend_util, DataType, TensorInfo } from '@tensorflow/tfjs-core';
import type { NativeAddon } from './addon.ts';
import { bufferSource, MemoryPool, type MemorySource, type PoolStatistics } from './memory-pool.ts';

/** tfjs's name for a handle of stored data. */
type DataId = TensorInfo['dataId'];

export class NativeBackend extends MathBackendCPU {
  readonly addon: NativeAddon;
  readonly #pool: MemoryPool;

  /** @param memory  where results lie; buffers of the JavaScript engine unless told. */
  constructor(addon: NativeAddon, memory: MemorySource = bufferSource((buffer) => addon.align(buffer))) {
    super();
    this.addon = addon;
    this.#pool = new MemoryPool(memory);
    // The parent would print an advertisement for tfjs-node on first use.
    (this as unknown as { firstUse: boolean }).firstUse = false;
  }

  /** An array for a kernel's result, to be handed to `store` or `release`. Contents are undefined. */
  allocate(length: number): Float32Array {
    return this.#pool.take(length);
  }

  /** Makes a tensor of an array from `allocate`. */
  store(values: Float32Array, shape: readonly number[]): TensorInfo {
    return { dataId: super.write(values, [...shape], 'float32'), shape: [...shape], dtype: 'float32' };
  }

  /** Gives back an array from `allocate` that did not become a tensor. */
  release(values: Float32Array): void {
    this.#pool.give(values);
  }

  /** The elements of a float32 tensor, or undefined when it holds something else. */
  floats(tensor: TensorInfo): Float32Array | undefined {
    const { values } = this.data.get(tensor.dataId);
    return tensor.dtype === 'float32' && values instanceof Float32Array ? values : undefined;
  }

  /**
   * Some inherited kernels return a view of their input (a contiguous Slice is a subarray). Pooled memory is copied here, so that
   * every pooled array belongs to exactly one tensor and its reuse cannot change another.
   */
  override write(values: backend_util.BackendValues, shape: number[], dtype: DataType): DataId {
    const isPooled = ArrayBuffer.isView(values) && this.#pool.owns(values);
    return super.write(isPooled ? (values as Float32Array).slice() : values, shape, dtype);
  }

  /** Pooled data is copied: what a caller holds must not change when the memory is used again. */
  override readSync(dataId: DataId): backend_util.BackendValues {
    const values = super.readSync(dataId);
    return values instanceof Float32Array && this.#pool.owns(values) ? values.slice() : values;
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const values = this.data.has(dataId) ? this.data.get(dataId).values : undefined;
    const isReleased = super.disposeData(dataId, force);
    if (isReleased && values instanceof Float32Array) this.#pool.give(values);
    return isReleased;
  }

  poolStatistics(): PoolStatistics {
    return this.#pool.statistics();
  }

  /** Returns free pooled memory and the addon's scratch memory to the system. */
  trim(): void {
    this.#pool.trim();
    this.addon.releaseScratch();
  }

  override dispose(): void {
    this.trim();
  }
}
