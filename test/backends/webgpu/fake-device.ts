/**
 * A device of WebGPU that computes nothing: it counts what it is told, and has as much memory as one says. Errors are those of Dawn, by
 * their texts and by when they arrive. Buffers read as zeros unless they were written to.
 */

/** One run of a shader. */
export interface CountedDispatch {
  readonly label: string;
  /** Of the buffers bound to it. */
  readonly bytes: number;
}

export interface Counts {
  readonly dispatches: readonly CountedDispatch[];
  readonly copies: number;
  readonly copiedBytes: number;
  readonly uniformWrites: number;
  readonly writtenBytes: number;
  readonly submissions: number;
}

export interface FakeLimits {
  /** Bytes of all buffers together. */
  readonly memory?: number;
  readonly maxBufferSize?: number;
  readonly maxStorageBufferBindingSize?: number;
  readonly maxStorageBuffersPerShaderStage?: number;
  readonly maxComputeWorkgroupStorageSize?: number;
}

const UNIFORM = 0x40;
const GLOBALS = {
  GPUBufferUsage: {
    ...{ MAP_READ: 1, MAP_WRITE: 2, COPY_SRC: 4, COPY_DST: 8, INDEX: 16, VERTEX: 32, UNIFORM, STORAGE: 0x80 },
    ...{ INDIRECT: 0x100, QUERY_RESOLVE: 0x200 },
  },
  GPUMapMode: { READ: 1, WRITE: 2 },
  GPUTextureUsage: {},
};

class GPUOutOfMemoryError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

class GPUValidationError extends GPUOutOfMemoryError {}

class FakeBuffer {
  readonly size: number;
  readonly usage: number;
  readonly isValid: boolean;
  mapState: 'mapped' | 'unmapped';
  isDestroyed = false;
  readonly #device: FakeDevice;
  #contents: ArrayBuffer | null = null;

  constructor(device: FakeDevice, size: number, usage: number, isValid: boolean, isMapped: boolean) {
    this.#device = device;
    this.size = size;
    this.usage = usage;
    this.isValid = isValid;
    this.mapState = isMapped ? 'mapped' : 'unmapped';
  }

  getMappedRange(): ArrayBuffer {
    this.#contents ??= new ArrayBuffer(this.size);
    return this.#contents;
  }

  unmap(): void {
    this.mapState = 'unmapped';
    this.#contents = null;
  }

  async mapAsync(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.isValid || this.isDestroyed) throw new Error('[Buffer] is invalid or destroyed.');
    this.mapState = 'mapped';
  }

  destroy(): void {
    if (!this.isDestroyed) this.#device.freed(this);
    this.isDestroyed = true;
  }
}

interface Entry {
  readonly resource: { readonly buffer: FakeBuffer; readonly size?: number };
}

class FakeGroup {
  readonly entries: readonly Entry[];
  constructor(entries: readonly Entry[]) {
    this.entries = entries;
  }
}

export class FakeDevice {
  readonly limits: Readonly<Record<string, number>>;
  readonly features = new Set<string>();
  readonly lost = new Promise<never>(() => {});
  readonly alive = new Set<FakeBuffer>();
  aliveBytes = 0;
  /** The highest `aliveBytes` so far. */
  peakBytes = 0;
  /** May be changed while it runs. */
  memory: number;
  #dispatches: CountedDispatch[] = [];
  #counts = { copies: 0, copiedBytes: 0, uniformWrites: 0, writtenBytes: 0, submissions: 0 };
  readonly #listeners: ((event: { error: object }) => void)[] = [];

  constructor({ memory = Infinity, ...limits }: FakeLimits = {}) {
    this.memory = memory;
    this.limits = {
      ...{ maxComputeWorkgroupsPerDimension: 65535, maxComputeInvocationsPerWorkgroup: 1024 },
      ...{ maxComputeWorkgroupSizeX: 1024, maxComputeWorkgroupStorageSize: 32768 },
      ...{ maxBufferSize: 2 ** 34, maxStorageBufferBindingSize: 2 ** 31 - 4, maxStorageBuffersPerShaderStage: 10 },
      ...limits,
    };
  }

  /** What it was told since the last call. */
  take(): Counts {
    const counts = { dispatches: this.#dispatches, ...this.#counts };
    this.#dispatches = [];
    this.#counts = { copies: 0, copiedBytes: 0, uniformWrites: 0, writtenBytes: 0, submissions: 0 };
    return counts;
  }

  freed(buffer: FakeBuffer): void {
    if (this.alive.delete(buffer)) this.aliveBytes -= buffer.size;
  }

  readonly queue = {
    writeBuffer: (buffer: FakeBuffer, _: number, data: ArrayBuffer | ArrayBufferView) => {
      this.#use(buffer);
      if ((buffer.usage & UNIFORM) !== 0) this.#counts.uniformWrites++;
      this.#counts.writtenBytes += data.byteLength;
    },
    submit: (commands: readonly { readonly used: ReadonlySet<FakeBuffer> }[]) => {
      this.#counts.submissions++;
      for (const { used } of commands) {
        for (const buffer of used) if (buffer.isDestroyed) this.#fail('[Buffer] used in submit while destroyed.');
      }
    },
    onSubmittedWorkDone: () => new Promise((resolve) => setImmediate(resolve)),
  };

  addEventListener(_: 'uncapturederror', listener: (event: { error: object }) => void): void {
    this.#listeners.push(listener);
  }

  createShaderModule({ code }: { code: string }): object {
    return { code };
  }

  createComputePipeline({ label = 'unnamed' }: { label?: string }) {
    return { label, getBindGroupLayout: () => ({}) };
  }

  createBindGroup({ entries }: { entries: readonly Entry[] }): FakeGroup {
    const most = this.limits['maxStorageBufferBindingSize'] ?? Infinity;
    const isStorage = ({ resource: { buffer } }: Entry) => (buffer.usage & UNIFORM) === 0;
    if (entries.filter(isStorage).length > (this.limits['maxStorageBuffersPerShaderStage'] ?? 8))
      this.#fail('The number of storage buffers exceeds the maximum per-stage limit.');
    for (const { resource } of entries) {
      this.#use(resource.buffer);
      const size = resource.size ?? resource.buffer.size;
      if (size > most)
        this.#fail(
          `Binding size (${size}) of [Buffer] is larger than the maximum storage buffer binding size (${most}).`,
        );
    }
    return new FakeGroup(entries);
  }

  createBuffer({ size, usage, mappedAtCreation = false }: { size: number; usage: number; mappedAtCreation?: boolean }) {
    const most = this.limits['maxBufferSize'] ?? Infinity;
    const hasRoom = this.aliveBytes + size <= this.memory;
    if (size > most) this.#fail(`Buffer size (${size}) exceeds the max buffer size limit (${most}).`);
    else if (!hasRoom)
      this.#report(new GPUOutOfMemoryError('vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY'));
    const isValid = size <= most && hasRoom;
    const buffer = new FakeBuffer(this, size, usage, isValid, mappedAtCreation);
    if (isValid) {
      this.alive.add(buffer);
      this.aliveBytes += size;
      this.peakBytes = Math.max(this.peakBytes, this.aliveBytes);
    }
    return buffer;
  }

  createCommandEncoder() {
    const used = new Set<FakeBuffer>();
    return {
      beginComputePass: () => this.#beginPass(used),
      copyBufferToBuffer: (from: FakeBuffer, _: number, to: FakeBuffer, __: number, size: number) => {
        for (const buffer of [from, to]) {
          this.#use(buffer);
          used.add(buffer);
        }
        this.#counts.copies++;
        this.#counts.copiedBytes += size;
      },
      resolveQuerySet: () => {},
      finish: () => ({ used }),
    };
  }

  #beginPass(used: Set<FakeBuffer>) {
    let label = '';
    let group: FakeGroup | undefined;
    return {
      setPipeline: (pipeline: { label: string }) => {
        label = pipeline.label;
      },
      setBindGroup: (_: number, given: FakeGroup) => {
        group = given;
      },
      dispatchWorkgroups: (...sizes: number[]) => {
        const most = this.limits['maxComputeWorkgroupsPerDimension'] ?? 0;
        if (sizes.some((size) => size > most)) this.#fail('Dispatch workgroup count exceeds the max.');
        const entries = group?.entries ?? [];
        for (const { resource } of entries) used.add(resource.buffer);
        const bytes = entries.reduce((sum, { resource }) => sum + (resource.size ?? resource.buffer.size), 0);
        this.#dispatches.push({ label, bytes });
      },
      end: () => {},
    };
  }

  #use(buffer: FakeBuffer): void {
    if (!buffer.isValid) this.#fail('[Invalid Buffer] is invalid.');
  }

  #fail(message: string): void {
    this.#report(new GPUValidationError(message));
  }

  /** As the events of Dawn do, they arrive when the caller waits for something. */
  #report(error: object): void {
    setImmediate(() => {
      for (const listener of this.#listeners) listener({ error });
    });
  }
}

/** What `createBackend` takes as an adapter. */
export function fakeAdapter(device: FakeDevice) {
  for (const [name, value] of Object.entries({ ...GLOBALS, GPUBuffer: FakeBuffer, GPUTexture: class {} })) {
    Object.defineProperty(globalThis, name, { value, configurable: true });
  }
  return {
    info: { vendor: 'none', architecture: '', device: 'fake', description: 'counts what it is told' },
    limits: device.limits,
    features: device.features,
    requestDevice: () => Promise.resolve(device as never),
  };
}
