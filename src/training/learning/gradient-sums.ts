/** Sums over processes of many arrays, in buckets that are on their way while the next ones are still computed. */

import type { Communicator, PendingSum } from '../../distributed/communicator.ts';

/** Few enough that the first bucket is under way early, and enough that latency does not count. */
const BUCKET_FLOATS = 2 ** 16;

interface Bucket {
  readonly values: Float32Array;
  used: number;
  pending: PendingSum | null;
}

interface Entry {
  readonly name: string;
  readonly bucket: Bucket;
  readonly begin: number;
  readonly length: number;
}

export class GradientSums {
  readonly #communicator: Communicator;
  /** Kept for the next step, whose arrays are the same. */
  readonly #buckets: Bucket[] = [];
  #open = 0;
  #entries: Entry[] = [];

  constructor(communicator: Communicator) {
    this.#communicator = communicator;
  }

  /** Takes an array over, times `factor`; all processes add the same ones in the same order. */
  add(name: string, values: Float32Array, factor = 1): void {
    const bucket = this.#bucketFor(values.length);
    const begin = bucket.used;
    bucket.used += values.length;
    if (factor === 1) bucket.values.set(values, begin);
    else for (const [i, value] of values.entries()) bucket.values[begin + i] = factor * value;
    this.#entries.push({ name, bucket, begin, length: values.length });
    if (bucket.used >= BUCKET_FLOATS) this.#send();
  }

  /** Sends what is left. */
  flush(): void {
    if ((this.#buckets[this.#open]?.used ?? 0) > 0) this.#send();
  }

  /** Waits for all sums. They may be kept. */
  finish(): Map<string, Float32Array> {
    this.flush();
    const sums = new Map<string, Float32Array>();
    for (const { name, bucket, begin, length } of this.#entries) {
      bucket.pending?.wait();
      bucket.pending = null;
      sums.set(name, bucket.values.slice(begin, begin + length));
    }
    for (const bucket of this.#buckets) bucket.used = 0;
    this.#entries = [];
    this.#open = 0;
    return sums;
  }

  #bucketFor(length: number): Bucket {
    const open = this.#buckets[this.#open];
    if (open !== undefined && open.used > 0 && open.used + length > open.values.length) {
      this.#send();
      return this.#bucketFor(length);
    }
    if (open !== undefined && open.values.length >= length) return open;
    const bucket = { values: new Float32Array(Math.max(length, BUCKET_FLOATS)), used: 0, pending: null };
    this.#buckets[this.#open] = bucket;
    return bucket;
  }

  #send(): void {
    const bucket = this.#buckets[this.#open];
    if (bucket === undefined) return;
    bucket.pending = this.#communicator.beginSum(bucket.values.subarray(0, bucket.used));
    this.#open++;
  }
}
