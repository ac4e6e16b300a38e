/** Buffers of a device by size and usage, kept for the next tensor of the same size; in place of tfjs's BufferManager. */

import type { GpuBuffer, GpuDevice } from './device.ts';

class FreeList {
  readonly #buffers = new Map<string, GpuBuffer[]>();

  take(key: string): GpuBuffer | undefined {
    return this.#buffers.get(key)?.pop();
  }

  put(buffer: GpuBuffer): void {
    const key = keyOf(buffer.size, buffer.usage);
    const list = this.#buffers.get(key);
    if (list === undefined) this.#buffers.set(key, [buffer]);
    else list.push(buffer);
  }

  *all(): Generator<GpuBuffer> {
    for (const list of this.#buffers.values()) yield* list;
  }

  clear(): void {
    this.#buffers.clear();
  }
}

function keyOf(size: number, usage: number): string {
  return `${size} ${usage}`;
}

/**
 * Buffers that a recording (`command-recorder.ts`) works on. Until the recording is dropped nobody else gets them: its commands
 * write to them whenever they run.
 */
export class Reservation {
  readonly buffers = new Set<GpuBuffer>();
  /** Those of tensors that were made while recording: once disposed, they serve the next tensors of the same recording. */
  readonly temporaries = new Set<GpuBuffer>();
  readonly free = new FreeList();
}

/** Methods and fields that tfjs uses have the names that it knows. */
export class BufferPool {
  readonly #device: GpuDevice;
  readonly #free = new FreeList();
  readonly #used = new Set<GpuBuffer>();
  readonly #owners = new Map<GpuBuffer, Reservation>();
  #reserving: Reservation | null = null;
  /** Not to be used again: see `abandon`. */
  readonly #suspect = new WeakSet<GpuBuffer>();
  #retired: GpuBuffer[] = [];
  numBytesUsed = 0;
  /** In use, reserved and free. */
  numBytesAllocated = 0;
  /** The highest `numBytesAllocated` so far. */
  peakBytes = 0;

  readonly #isAwaited: () => boolean;

  /** @param isAwaited  whether commands were recorded that the device has not got yet: what they use must not be destroyed. */
  constructor(device: GpuDevice, isAwaited: () => boolean = () => false) {
    this.#device = device;
    this.#isAwaited = isAwaited;
  }

  /**
   * @param mappedAtCreation  whether a new buffer should be mapped; one that was used before never is.
   * @param reuse             false for one that `releaseBuffer` will destroy.
   */
  acquireBuffer(size: number, usage: number, mappedAtCreation = false, reuse = true): GpuBuffer {
    const key = keyOf(size, usage);
    const reserving = reuse ? this.#reserving : null;
    const own = reserving?.free.take(key);
    if (own !== undefined) return this.#use(own);
    const buffer = (reuse ? this.#free.take(key) : undefined) ?? this.#create(size, usage, mappedAtCreation);
    if (reserving !== null) {
      this.reserve(buffer, reserving);
      reserving.temporaries.add(buffer);
    }
    return this.#use(buffer);
  }

  /** For contents that a recording must find unchanged each time: it gives the buffer no other use. */
  acquireConstant(size: number, usage: number): GpuBuffer {
    const buffer = this.#free.take(keyOf(size, usage)) ?? this.#create(size, usage, false);
    if (this.#reserving !== null) this.reserve(buffer, this.#reserving);
    return this.#use(buffer);
  }

  releaseBuffer(buffer: GpuBuffer, reuse = true): void {
    if (!this.#used.delete(buffer)) throw new Error('internal: the buffer is not in use');
    this.numBytesUsed -= buffer.size;
    if (!reuse) {
      this.numBytesAllocated -= buffer.size;
      buffer.destroy();
    } else if (!this.#owners.has(buffer)) {
      this.#putBack(buffer);
    } else if (this.#reserving?.temporaries.has(buffer) === true) {
      this.#reserving.free.put(buffer);
    }
  }

  /** From now on, buffers that are acquired belong to the reservation. */
  beginReservation(): Reservation {
    if (this.#reserving !== null) throw new Error('internal: something is being recorded already');
    this.#reserving = new Reservation();
    return this.#reserving;
  }

  endReservation(): void {
    this.#reserving = null;
  }

  /** Keeps a buffer, once it is released, for the reservation. */
  reserve(buffer: GpuBuffer, reservation: Reservation): void {
    if (this.#owners.has(buffer)) return;
    this.#owners.set(buffer, reservation);
    reservation.buffers.add(buffer);
  }

  /** Gives the buffers of a reservation back, those in use when they are released. */
  drop(reservation: Reservation): void {
    for (const buffer of reservation.buffers) {
      this.#owners.delete(buffer);
      if (!this.#used.has(buffer)) this.#putBack(buffer);
    }
    reservation.buffers.clear();
  }

  /** Gives all that is free back to the device. */
  trim(): void {
    for (const buffer of this.#free.all()) this.#retire(buffer);
    this.#free.clear();
  }

  /**
   * After a failure of the device: nothing that there is now serves another tensor, since buffers may be among it that the device had
   * no memory for. Those in use are given up when they are released.
   */
  abandon(): void {
    this.trim();
    for (const buffer of [...this.#used, ...this.#owners.keys()]) this.#suspect.add(buffer);
  }

  /** Destroys what was given up while commands waited that use it. */
  destroyRetired(): void {
    for (const buffer of this.#retired) buffer.destroy();
    this.#retired = [];
  }

  isUsed(buffer: GpuBuffer): boolean {
    return this.#used.has(buffer);
  }

  dispose(): void {
    this.destroyRetired();
    for (const buffer of new Set([...this.#used, ...this.#owners.keys(), ...this.#free.all()])) buffer.destroy();
  }

  #putBack(buffer: GpuBuffer): void {
    if (this.#suspect.has(buffer)) this.#retire(buffer);
    else this.#free.put(buffer);
  }

  #retire(buffer: GpuBuffer): void {
    this.numBytesAllocated -= buffer.size;
    if (this.#isAwaited()) this.#retired.push(buffer);
    else buffer.destroy();
  }

  #create(size: number, usage: number, mappedAtCreation: boolean): GpuBuffer {
    this.numBytesAllocated += size;
    this.peakBytes = Math.max(this.peakBytes, this.numBytesAllocated);
    return this.#device.createBuffer({ size, usage, mappedAtCreation });
  }

  #use(buffer: GpuBuffer): GpuBuffer {
    this.#used.add(buffer);
    this.numBytesUsed += buffer.size;
    return buffer;
  }
}
