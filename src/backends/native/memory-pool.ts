/**
 * Reuses the memory of disposed results. A fresh Float32Array of a training step costs a page fault per 4 KiB on first use, more
 * than most kernels; a step's results have the same sizes every time, so free lists by length serve nearly all of them.
 */

/** Shorter arrays are cheap to allocate and not pooled. */
const SMALLEST_POOLED = 256;

export interface PoolStatistics {
  /** Bytes of pooled arrays that tensors hold now. */
  readonly bytesInUse: number;
  /** Bytes waiting in the free lists. */
  readonly bytesPooled: number;
  /** Highest bytesInUse so far. */
  readonly peakBytes: number;
}

export class MemoryPool {
  readonly #align: (buffer: ArrayBuffer) => number;
  /** Free arrays by length; the map's order is that of use, least recent first. */
  readonly #free = new Map<number, Float32Array[]>();
  /** Every array handed out or free; tells our memory from that of a user. */
  readonly #owned = new WeakSet<ArrayBufferLike>();
  #bytesInUse = 0;
  #bytesPooled = 0;
  #peakBytes = 0;

  /** @param align  bytes from the start of a buffer to its first 64-byte boundary, where vector loads do not straddle cache lines. */
  constructor(align: (buffer: ArrayBuffer) => number) {
    this.#align = align;
  }

  /** An array of `length` elements with undefined contents. */
  take(length: number): Float32Array {
    if (length < SMALLEST_POOLED) return new Float32Array(length);
    this.#bytesInUse += 4 * length;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytesInUse);
    const free = this.#free.get(length)?.pop();
    if (free !== undefined) {
      this.#bytesPooled -= 4 * length;
      return free;
    }
    const buffer = new ArrayBuffer(4 * length + 64);
    this.#owned.add(buffer);
    return new Float32Array(buffer, this.#align(buffer), length);
  }

  /** Takes back an array from `take`; nothing may read it afterwards. Arrays that are not the pool's are ignored. */
  give(array: Float32Array): void {
    if (!this.owns(array)) return;
    this.#bytesInUse -= array.byteLength;
    this.#bytesPooled += array.byteLength;
    const list = this.#free.get(array.length) ?? [];
    list.push(array);
    this.#free.delete(array.length);
    this.#free.set(array.length, list);
    this.#evict();
  }

  /** Sizes that are no longer asked for must not pile up: free memory never exceeds what was once in use. */
  #evict(): void {
    for (const [length, list] of this.#free) {
      while (this.#bytesPooled > this.#peakBytes && list.pop() !== undefined) this.#bytesPooled -= 4 * length;
      if (this.#bytesPooled <= this.#peakBytes) return;
      this.#free.delete(length);
    }
  }

  /** Whether the array lies in the pool's memory. */
  owns(array: { readonly buffer: ArrayBufferLike }): boolean {
    return this.#owned.has(array.buffer);
  }

  /** Drops the free lists, so that their memory can be collected. */
  trim(): void {
    this.#free.clear();
    this.#bytesPooled = 0;
  }

  statistics(): PoolStatistics {
    return { bytesInUse: this.#bytesInUse, bytesPooled: this.#bytesPooled, peakBytes: this.#peakBytes };
  }
}
