/**
 * Training steps recorded as a list of dispatches. Every step of an epoch gives the device the same commands; to run the list again
 * costs the host a tenth of what finding it costs, with tfjs's bookkeeping, a bind group and a uniform buffer for each.
 *
 * Buffers of the recorded tensors stay reserved, so the same bind groups serve each time. What a step takes over from the one before
 * (weights, momenta) is written to other buffers than it is read from, so it is copied back first.
 */

import type * as tf from '@tensorflow/tfjs-core';
import type { InputData, RecordedWork, StepNumbers, StepRecorder, StepRecording } from '../step-recorder.ts';
import type { Reservation } from './buffer-pool.ts';
import type { GpuBindGroup, GpuBuffer, GpuEncoder, GpuPass, GpuPipeline } from './device.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

interface RecordedDispatch {
  readonly pipeline: GpuPipeline;
  readonly group: GpuBindGroup;
  readonly groups: readonly [x: number, y: number, z: number];
  /** Of floats, where there are many. */
  readonly multiplyAdds: number;
}

interface VaryingUniform {
  readonly buffer: GpuBuffer;
  readonly encode: (numbers: StepNumbers) => ArrayBuffer;
}

interface Commands {
  readonly dispatches: readonly RecordedDispatch[];
  readonly varying: readonly VaryingUniform[];
  readonly inputs: readonly GpuBuffer[];
  /** Where a value is after a step, and where the next step reads it. */
  readonly carried: readonly (readonly [from: GpuBuffer, to: GpuBuffer])[];
  /** Of the tensors of the state. */
  readonly state: readonly object[];
  readonly result: GpuBuffer;
  readonly reservation: Reservation;
}

/** GPUBufferUsage.STORAGE | COPY_DST | COPY_SRC: that of tfjs's tensors. */
const STORAGE_USAGE = 0x80 | 0x08 | 0x04;

const taps = new WeakMap<WebgpuBackend, Tap>();

/** What is being recorded of a backend's commands, if anything is. */
export function tapOf(backend: WebgpuBackend): Tap | undefined {
  return taps.get(backend);
}

/** Sends what was given to the device so far. */
function flush(backend: WebgpuBackend): void {
  backend.endComputePassEncoder();
  if (backend.commandEncoder !== null) backend.submitQueue();
}

function bufferOf(backend: WebgpuBackend, { dataId }: tf.TensorInfo): GpuBuffer | null {
  return backend.tensorMap.get(dataId).resource;
}

/** Listens to a backend while a step gives it its commands. */
class Tap {
  readonly dispatches: RecordedDispatch[] = [];
  readonly varying: VaryingUniform[] = [];
  readonly inputs: GpuBuffer[] = [];
  readonly reservation: Reservation;
  /** Whether there were commands that cannot be run again. */
  isBroken = false;
  #multiplyAdds = 0;
  readonly #backend: WebgpuBackend;
  readonly #restore: () => void;

  constructor(backend: WebgpuBackend) {
    this.#backend = backend;
    const { bufferManager: pool, device } = backend;
    this.reservation = pool.beginReservation();
    const { ensureCommandEncoderReady, submitQueue, uploadToGPU } = backend;
    const { createBindGroup } = device;
    backend.ensureCommandEncoderReady = () => {
      backend.commandEncoder ??= this.#listen(device.createCommandEncoder());
    };
    backend.submitQueue = () => {
      this.isBroken = true;
      submitQueue.call(backend);
    };
    backend.uploadToGPU = (id) => {
      if (!this.#uploadConstant(id)) uploadToGPU.call(backend, id);
    };
    device.createBindGroup = (descriptor) => {
      for (const { resource } of descriptor.entries) {
        if (pool.isUsed(resource.buffer)) pool.reserve(resource.buffer, this.reservation);
      }
      return createBindGroup.call(device, descriptor);
    };
    this.#restore = () => {
      Object.assign(backend, { ensureCommandEncoderReady, submitQueue, uploadToGPU });
      device.createBindGroup = createBindGroup;
    };
    taps.set(backend, this);
  }

  input<T extends tf.Tensor>(t: T): T {
    this.#backend.uploadToGPU(t.dataId);
    const buffer = bufferOf(this.#backend, t);
    if (buffer === null) throw new Error('internal: the input of a step is not on the device');
    this.inputs.push(buffer);
    return t;
  }

  /** Of the next dispatch. */
  announce(multiplyAdds: number): void {
    this.#multiplyAdds = multiplyAdds;
  }

  end(): void {
    this.#restore();
    this.#backend.bufferManager.endReservation();
    taps.delete(this.#backend);
    flush(this.#backend);
  }

  #listen(encoder: GpuEncoder): GpuEncoder {
    return {
      beginComputePass: (descriptor) => {
        const pass = encoder.beginComputePass(descriptor);
        let pipeline: GpuPipeline | undefined;
        let group: GpuBindGroup | undefined;
        return {
          setPipeline: (given) => {
            pipeline = given;
            pass.setPipeline(given);
          },
          setBindGroup: (index, given) => {
            group = given;
            pass.setBindGroup(index, given);
          },
          dispatchWorkgroups: (x, y = 1, z = 1) => {
            if (pipeline !== undefined && group !== undefined)
              this.dispatches.push({ pipeline, group, groups: [x, y, z], multiplyAdds: this.#multiplyAdds });
            this.#multiplyAdds = 0;
            pass.dispatchWorkgroups(x, y, z);
          },
          end: () => {
            pass.end();
          },
        };
      },
      copyBufferToBuffer: (...copy) => {
        this.isBroken = true;
        encoder.copyBufferToBuffer(...copy);
      },
      finish: () => encoder.finish(),
    };
  }

  /** tfjs would copy from a buffer that it destroys. */
  #uploadConstant(id: object): boolean {
    const { bufferManager: pool, device, tensorMap } = this.#backend;
    const data = tensorMap.get(id);
    const { values, dtype } = data;
    if (data.resource !== null && data.resource !== undefined) return false;
    if (values === null || values === undefined || dtype === 'complex64' || dtype === 'string') return false;
    const contents = dtype === 'float32' ? Float32Array.from(values) : Int32Array.from(values);
    const buffer = pool.acquireConstant(contents.byteLength, STORAGE_USAGE);
    device.queue.writeBuffer(buffer, 0, contents);
    data.resource = buffer;
    data.values = null;
    return true;
  }
}

/** Backends whose steps can be recorded have this. */
export class CommandRecorder implements StepRecorder {
  readonly #backend: WebgpuBackend;

  constructor(backend: WebgpuBackend) {
    this.#backend = backend;
  }

  async record({ state, run }: RecordedWork): Promise<{ result: tf.Tensor; recording: StepRecording | null }> {
    const backend = this.#backend;
    const pool = backend.bufferManager;
    const before = state();
    for (const { dataId } of before) backend.uploadToGPU(dataId);
    const read = before.map((t) => bufferOf(backend, t));
    // The tap hears a command encoder from its beginning.
    flush(backend);
    const tap = new Tap(backend);
    for (const buffer of read) if (buffer !== null) pool.reserve(buffer, tap.reservation);
    let result: tf.Tensor;
    try {
      result = await run((t) => tap.input(t));
    } catch (error) {
      tap.end();
      pool.drop(tap.reservation);
      throw error;
    }
    tap.end();
    const commands = this.#commandsOf(tap, read, state(), result);
    if (commands === null) {
      pool.drop(tap.reservation);
      return { result, recording: null };
    }
    return { result, recording: new Recording(backend, commands) };
  }

  #commandsOf(
    tap: Tap,
    read: readonly (GpuBuffer | null)[],
    after: readonly tf.Tensor[],
    result: tf.Tensor,
  ): Commands | null {
    const backend = this.#backend;
    const resultBuffer = bufferOf(backend, result);
    if (tap.isBroken || resultBuffer === null) return null;
    const carried: [from: GpuBuffer, to: GpuBuffer][] = [];
    for (const [i, t] of after.entries()) {
      const [from, to] = [bufferOf(backend, t), read[i] ?? null];
      if (from === null || to === null) return null;
      // Somebody who still holds the old value, or another part of the state, would see it change.
      if (from !== to && backend.bufferManager.isUsed(to)) return null;
      if (from !== to) carried.push([from, to]);
    }
    const targets = new Set(carried.map(([, to]) => to));
    if (targets.size < carried.length) return null;
    const { dispatches, varying, inputs, reservation } = tap;
    const state = after.map(({ dataId }) => dataId);
    return { dispatches, varying, inputs, carried, state, result: resultBuffer, reservation };
  }
}

class Recording implements StepRecording {
  readonly #backend: WebgpuBackend;
  readonly #commands: Commands;

  constructor(backend: WebgpuBackend, commands: Commands) {
    this.#backend = backend;
    this.#commands = commands;
  }

  continues(state: readonly tf.Tensor[]): boolean {
    const { state: known } = this.#commands;
    // A second holder of a tensor counts on its staying as it is.
    return (
      state.length === known.length &&
      state.every(({ dataId }, i) => dataId === known[i] && this.#backend.refCount(dataId) === 1)
    );
  }

  async run(data: readonly InputData[], numbers: StepNumbers): Promise<Float32Array> {
    const backend = this.#backend;
    const { queue } = backend.device;
    const { dispatches, varying, inputs, carried, state, result } = this.#commands;
    flush(backend);
    for (const [i, buffer] of inputs.entries()) {
      const contents = data[i];
      if (contents?.byteLength !== buffer.size) {
        throw new Error(`internal: input ${i} of a step has ${contents?.byteLength} bytes, expected ${buffer.size}`);
      }
      queue.writeBuffer(buffer, 0, contents);
    }
    for (const { buffer, encode } of varying) queue.writeBuffer(buffer, 0, encode(numbers));
    const encoder = backend.device.createCommandEncoder();
    for (const [from, to] of carried) encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
    runDispatches(encoder.beginComputePass({}), dispatches);
    // What tfjs read of the old values.
    for (const id of state) backend.tensorMap.get(id).values = null;
    // Reading submits: one submission per step.
    backend.commandEncoder = encoder;
    return new Float32Array(await backend.getBufferData(result));
  }

  dispose(): void {
    this.#backend.bufferManager.drop(this.#commands.reservation);
  }
}

function runDispatches(pass: GpuPass, dispatches: readonly RecordedDispatch[]): void {
  let current: GpuPipeline | undefined;
  for (const { pipeline, group, groups } of dispatches) {
    if (pipeline !== current) pass.setPipeline(pipeline);
    current = pipeline;
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...groups);
  }
  pass.end();
}
