/** The tfjs backend `native`: the storage of tfjs-backend-cpu with pooled memory, under kernels of the C++ addon. */

import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import type * as tf from '@tensorflow/tfjs-core';
import type { NativeAddon } from './addon.ts';
import { bufferSource, MemoryPool, type MemorySource, type PoolStatistics, type Reservation } from './memory-pool.ts';
import type { BackendTap } from './tap.ts';

/** tfjs's name for a handle of stored data. */
type DataId = tf.TensorInfo['dataId'];

export class NativeBackend extends MathBackendCPU {
  readonly #addon: NativeAddon;
  readonly #pool: MemoryPool;
  /** Who listens to what is computed. */
  tap: BackendTap | null = null;

  /** @param memory  where results lie; buffers of the JavaScript engine unless told. */
  constructor(addon: NativeAddon, memory: MemorySource = bufferSource((buffer) => addon.align(buffer))) {
    super();
    this.#addon = addon;
    this.#pool = new MemoryPool(memory);
    // The parent would print an advertisement for tfjs-node on first use.
    (this as unknown as { firstUse: boolean }).firstUse = false;
  }

  get addon(): NativeAddon {
    return this.tap?.addon ?? this.#addon;
  }

  /** An array for a kernel's result, to be handed to `store` or `release`. Contents are undefined. */
  allocate(length: number): Float32Array {
    const values = this.#pool.take(length);
    this.tap?.allocates(values);
    return values;
  }

  /** Makes a tensor of an array from `allocate`. */
  store(values: Float32Array, shape: readonly number[]): tf.TensorInfo {
    return { dataId: super.write(values, [...shape], 'float32'), shape: [...shape], dtype: 'float32' };
  }

  /** Gives back an array from `allocate` that did not become a tensor. */
  release(values: Float32Array): void {
    if (this.tap?.keeps(values) !== true) this.#pool.give(values);
  }

  /** Takes what is free of the room of some arrays, until it is given back. */
  reserve(arrays: Iterable<Float32Array>): Reservation {
    return this.#pool.reserve(arrays);
  }

  giveBack(reservation: Reservation): void {
    this.#pool.giveBack(reservation);
  }

  owns(values: Float32Array): boolean {
    return this.#pool.owns(values);
  }

  /** Where a tensor of numbers has its elements. */
  valuesOf({ dataId }: tf.TensorInfo): Float32Array | Int32Array | Uint8Array | undefined {
    const { values } = this.data.get(dataId);
    return values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array
      ? values
      : undefined;
  }

  /** Lets a tensor have its elements elsewhere; where they were is the caller's. */
  relocate({ dataId }: tf.TensorInfo, values: Float32Array | Int32Array | Uint8Array): void {
    this.data.get(dataId).values = values;
  }

  /** A tensor of an array that stays the caller's, also when it is let go of. */
  lend(values: Float32Array | Int32Array | Uint8Array, shape: readonly number[], dtype: tf.DataType): tf.TensorInfo {
    return { dataId: super.write(values, [...shape], dtype), shape: [...shape], dtype };
  }

  letGo({ dataId }: tf.TensorInfo): void {
    super.disposeData(dataId, true);
  }

  /** The elements of a float32 tensor, or undefined when it holds something else. */
  floats(tensor: tf.TensorInfo): Float32Array | undefined {
    const { values } = this.data.get(tensor.dataId);
    return tensor.dtype === 'float32' && values instanceof Float32Array ? values : undefined;
  }

  /**
   * Some inherited kernels return a view of their input (a contiguous Slice is a subarray). Pooled memory is copied here, so that
   * every pooled array belongs to exactly one tensor and its reuse cannot change another.
   */
  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): DataId {
    const isPooled = ArrayBuffer.isView(values) && this.#pool.owns(values);
    return super.write(isPooled ? (values as Float32Array).slice() : values, shape, dtype);
  }

  /** Floats are copied: what a caller holds must not change when the memory is used again. */
  override readSync(dataId: DataId): tf.backend_util.BackendValues {
    const values = super.readSync(dataId);
    this.tap?.read(values);
    return values instanceof Float32Array ? values.slice() : values;
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const values = this.data.has(dataId) ? this.data.get(dataId).values : undefined;
    const isReleased = super.disposeData(dataId, force);
    if (isReleased && values instanceof Float32Array) this.release(values);
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
