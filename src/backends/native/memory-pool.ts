/**
 * An arena for the results of kernels. A fresh Float32Array costs a page fault per 4 KiB on first use, more than most kernels, and
 * counts towards V8's limit for memory outside of its heap, so that a training step that allocates its activations starts several
 * full garbage collections. Here large buffers are allocated once and results are ranges of them: best fit, neighbouring free
 * ranges become one again. The system gives memory to a buffer page by page as it is touched, so a large one costs what is used.
 */

/** Shorter arrays are cheap to allocate and not pooled. */
const SMALLEST_POOLED = 16;
/** Ranges begin and end at multiples of a cache line, where vector loads do not straddle lines. */
const LINE_BYTES = 64;
const LINE_FLOATS = LINE_BYTES / 4;
const CHUNK_BYTES = 128 * 2 ** 20;
/** Shorter arrays have buffers of their own: those that stay, such as parameters, must not split the room for activations. */
const LARGE_FLOATS = 2 ** 16;
const SMALL_CHUNK_BYTES = 8 * 2 ** 20;

export interface PoolStatistics {
  /** Bytes of pooled arrays that tensors hold now. */
  readonly bytesInUse: number;
  /** Bytes of the buffers that no tensor holds. */
  readonly bytesPooled: number;
  /** Highest bytesInUse so far. */
  readonly peakBytes: number;
}

/** In floats from the first aligned one. */
interface Range {
  begin: number;
  end: number;
}

/** Room that no tensor holds, but is not free either. */
export type Reservation = readonly { readonly chunk: object; readonly begin: number; readonly end: number }[];

/** Memory that a pool hands out in pieces. */
export interface Memory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** Bytes before the first float, which lies at the start of a cache line. */
  readonly offset: number;
}

/** Where a pool gets its memory. */
export interface MemorySource {
  /** @throws {RangeError} when there is none left. */
  allocate(bytes: number): Memory;
  free(memory: Memory): void;
}

/** Buffers of their own, of the JavaScript engine. @param align  bytes from the start of a buffer to its first 64-byte boundary. */
export function bufferSource(align: (buffer: ArrayBuffer) => number): MemorySource {
  return {
    allocate: (bytes) => {
      const buffer = new ArrayBuffer(bytes + LINE_BYTES);
      return { buffer, offset: align(buffer) };
    },
    // Its memory goes with the last reference.
    free: () => {},
  };
}

interface Chunk extends Memory {
  readonly length: number;
  readonly isLarge: boolean;
  /** Free ranges by position; no two touch. */
  readonly free: Range[];
}

export class MemoryPool {
  readonly #source: MemorySource;
  readonly #chunks = new Set<Chunk>();
  #bytesInUse = 0;
  #bytesHeld = 0;
  #peakBytes = 0;

  constructor(source: MemorySource) {
    this.#source = source;
  }

  /** An array of `length` elements with undefined contents. */
  take(length: number): Float32Array {
    if (length < SMALLEST_POOLED) return new Float32Array(length);
    const needed = wholeLines(length);
    const [chunk, index] = this.#bestFit(needed) ?? [this.#addChunk(needed), 0];
    const range = chunk.free[index];
    if (range === undefined) throw new Error('internal: a new chunk is too small');
    const { begin } = range;
    range.begin += needed;
    if (range.begin === range.end) chunk.free.splice(index, 1);
    this.#bytesInUse += 4 * needed;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytesInUse);
    return new Float32Array(chunk.buffer, chunk.offset + 4 * begin, length);
  }

  /** Takes back an array from `take`; nothing may read it afterwards. Arrays that are not the pool's are ignored. */
  give(array: Float32Array): void {
    const chunk = this.#chunkOf(array);
    if (chunk === undefined) return;
    const begin = (array.byteOffset - chunk.offset) / 4;
    const end = begin + wholeLines(array.length);
    this.#bytesInUse -= 4 * (end - begin);
    putBack(chunk.free, begin, end);
  }

  /** Takes what is free of the room of some arrays; nobody gets it until it is given back. */
  reserve(arrays: Iterable<Float32Array>): Reservation {
    const wanted = new Map<Chunk, Range[]>();
    for (const array of arrays) {
      const chunk = this.#chunkOf(array);
      if (chunk === undefined) continue;
      const begin = (array.byteOffset - chunk.offset) / 4;
      const ranges = wanted.get(chunk) ?? [];
      wanted.set(chunk, ranges);
      ranges.push({ begin, end: begin + wholeLines(array.length) });
    }
    return [...wanted].flatMap(([chunk, ranges]) =>
      cutOut(chunk.free, joined(ranges)).map((range) => ({ chunk, ...range })),
    );
  }

  giveBack(reservation: Reservation): void {
    for (const { chunk, begin, end } of reservation) putBack((chunk as Chunk).free, begin, end);
  }

  /** Whether the array lies in the pool's memory. */
  owns(array: Pick<Float32Array, 'buffer' | 'byteOffset'>): boolean {
    return this.#chunkOf(array) !== undefined;
  }

  #chunkOf({ buffer, byteOffset }: Pick<Float32Array, 'buffer' | 'byteOffset'>): Chunk | undefined {
    for (const chunk of this.#chunks) {
      const from = byteOffset - chunk.offset;
      if (chunk.buffer === buffer && from >= 0 && from < 4 * chunk.length) return chunk;
    }
    return undefined;
  }

  /** Lets go of the buffers in which nothing is in use. */
  trim(): void {
    for (const chunk of this.#chunks) {
      const [only] = chunk.free;
      if (only?.begin !== 0 || only.end !== chunk.length) continue;
      this.#chunks.delete(chunk);
      this.#source.free(chunk);
      this.#bytesHeld -= 4 * chunk.length;
    }
  }

  statistics(): PoolStatistics {
    const bytesInUse = this.#bytesInUse;
    return { bytesInUse, bytesPooled: this.#bytesHeld - bytesInUse, peakBytes: this.#peakBytes };
  }

  /** The smallest range of at least `length` floats; of equal ones the first. */
  #bestFit(length: number): [Chunk, number] | undefined {
    let best: [Chunk, number] | undefined;
    let bestLength = Infinity;
    for (const chunk of this.#chunks) {
      if (chunk.isLarge !== length >= LARGE_FLOATS) continue;
      for (const [index, { begin, end }] of chunk.free.entries()) {
        const found = end - begin;
        if (found < length || found >= bestLength) continue;
        best = [chunk, index];
        bestLength = found;
      }
    }
    return best;
  }

  #addChunk(length: number): Chunk {
    const isLarge = length >= LARGE_FLOATS;
    const floats = Math.max(length, (isLarge ? CHUNK_BYTES : SMALL_CHUNK_BYTES) / 4);
    const memory = this.#source.allocate(4 * floats);
    const chunk = { ...memory, length: floats, isLarge, free: [{ begin: 0, end: floats }] };
    this.#chunks.add(chunk);
    this.#bytesHeld += 4 * floats;
    return chunk;
  }
}

/** Adds [begin, end) to free ranges. */
function putBack(free: Range[], begin: number, end: number): void {
  let next = free.findIndex((range) => range.begin >= end);
  if (next < 0) next = free.length;
  const after = free[next];
  const before = free[next - 1];
  if (before?.end === begin && after?.begin === end) {
    before.end = after.end;
    free.splice(next, 1);
  } else if (before?.end === begin) before.end = end;
  else if (after?.begin === end) after.begin = begin;
  else free.splice(next, 0, { begin, end });
}

/** The same room in ranges of which no two touch. */
function joined(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const { begin, end } of [...ranges].sort((a, b) => a.begin - b.begin)) {
    const last = result.at(-1);
    if (last !== undefined && begin <= last.end) last.end = Math.max(last.end, end);
    else result.push({ begin, end });
  }
  return result;
}

/** Removes from free ranges what is in `wanted`, both by position, and returns it. */
function cutOut(free: Range[], wanted: readonly Range[]): Range[] {
  const found: Range[] = [];
  const rest: Range[] = [];
  let next = 0;
  for (const { begin, end } of free.splice(0)) {
    let at = begin;
    while ((wanted[next]?.end ?? Infinity) <= begin) next++;
    for (let i = next; at < end; i++) {
      const { begin: from = end, end: to = end } = wanted[i] ?? {};
      const cut = { begin: Math.min(Math.max(from, at), end), end: Math.min(to, end) };
      if (at < cut.begin) rest.push({ begin: at, end: cut.begin });
      if (cut.begin < cut.end) found.push(cut);
      at = cut.begin < end ? cut.end : end;
    }
  }
  free.push(...rest);
  return found;
}

function wholeLines(length: number): number {
  return Math.ceil(length / LINE_FLOATS) * LINE_FLOATS;
}
