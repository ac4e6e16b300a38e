/**
 * Training steps recorded as a list of dispatches. Every step of an epoch gives the device the same commands; to run the list again
 * costs the host a tenth of what finding it costs, with tfjs's bookkeeping, a bind group and a uniform buffer for each.
 *
 * Buffers of the recorded tensors stay reserved, so the same bind groups serve each time. What a step takes over from the one before
 * (weights, momenta) is written to other buffers than it is read from. The two take turns: every second run uses bind groups in which they
 * are exchanged, and the tensors move to the other buffers with them.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { currentScope } from '../../kernels/layer-scope.ts';
import type {
  InputData,
  RecordedWork,
  StepNumbers,
  StepRecorder,
  StepRecording,
  TimedCommand,
} from '../step-recorder.ts';
import type { Reservation } from './buffer-pool.ts';
import type { BindGroupDescriptor, GpuBindGroup, GpuBuffer, GpuEncoder, GpuPipeline } from './device.ts';
import { flushPieces } from './grouped-dispatch.ts';
import { labelOf } from './pipeline-labels.ts';
import { bytesOf, type RecordedDispatch, runDispatches, splitByWork } from './recorded-dispatch.ts';
import { type CommandTap, setTap, type VaryingUniform } from './tap.ts';
import { canTime, timeDispatches } from './timed-dispatches.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

interface Commands {
  readonly dispatches: readonly RecordedDispatch[];
  readonly varying: readonly VaryingUniform[];
  readonly inputs: readonly GpuBuffer[];
  /** Of the state: its tensors, and where each is read and written. */
  readonly state: readonly { readonly dataId: object; readonly read: GpuBuffer; readonly written: GpuBuffer }[];
  readonly result: GpuBuffer;
  readonly reservation: Reservation;
}

/** GPUBufferUsage.STORAGE | COPY_DST | COPY_SRC: that of tfjs's tensors. */
const STORAGE_USAGE = 0x80 | 0x08 | 0x04;

/** Sends what was given to the device so far. */
function flush(backend: WebgpuBackend): void {
  flushPieces(backend);
  backend.endComputePassEncoder();
  if (backend.commandEncoder !== null) backend.submitQueue();
}

function bufferOf(backend: WebgpuBackend, { dataId }: tf.TensorInfo): GpuBuffer | null {
  return backend.tensorMap.get(dataId).resource;
}

/** Listens to a backend while a step gives it its commands. */
class Tap implements CommandTap {
  readonly dispatches: RecordedDispatch[] = [];
  readonly varying = new Map<string, VaryingUniform>();
  readonly inputs: GpuBuffer[] = [];
  readonly reservation: Reservation;
  /** Whether there were commands that cannot be run again. */
  isBroken = false;
  #multiplyAdds = 0;
  readonly #bindings = new Map<GpuBindGroup, BindGroupDescriptor>();
  readonly #backend: WebgpuBackend;
  readonly #restore: () => void;
  readonly #submit: () => void;

  constructor(backend: WebgpuBackend) {
    this.#backend = backend;
    const { bufferManager: pool, device } = backend;
    this.reservation = pool.beginReservation();
    const { ensureCommandEncoderReady, submitQueue, uploadToGPU } = backend;
    const { createBindGroup } = device;
    backend.ensureCommandEncoderReady = () => {
      flushPieces(backend);
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
      const group = createBindGroup.call(device, descriptor);
      this.#bindings.set(group, descriptor);
      return group;
    };
    this.#submit = () => submitQueue.call(backend);
    this.#restore = () => {
      Object.assign(backend, { ensureCommandEncoderReady, submitQueue, uploadToGPU });
      device.createBindGroup = createBindGroup;
    };
    setTap(backend, this);
  }

  input<T extends tf.Tensor>(t: T): T {
    this.#backend.uploadToGPU(t.dataId);
    const buffer = bufferOf(this.#backend, t);
    if (buffer === null) throw new Error('internal: the input of a step is not on the device');
    this.inputs.push(buffer);
    return t;
  }

  announce(multiplyAdds: number): void {
    this.#multiplyAdds = multiplyAdds;
  }

  submit(): void {
    const backend = this.#backend;
    // Sent, they would serve others, but the recording reads them each time.
    const uniforms = backend.uniformPendingDisposal.splice(0);
    backend.endComputePassEncoder();
    this.#submit();
    backend.uniformPendingDisposal.push(...uniforms);
  }

  end(): void {
    flushPieces(this.#backend);
    this.#restore();
    this.#backend.bufferManager.endReservation();
    setTap(this.#backend, null);
    flush(this.#backend);
  }

  #record(given: Pick<RecordedDispatch, 'pipeline' | 'binding' | 'group' | 'groups'>): void {
    const label = labelOf(given.pipeline);
    this.dispatches.push({ ...given, label, scope: currentScope(), multiplyAdds: this.#multiplyAdds });
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
            const binding = group && this.#bindings.get(group);
            if (pipeline === undefined || group === undefined || binding === undefined) this.isBroken = true;
            else this.#record({ pipeline, binding, group, groups: [x, y, z] });
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
      resolveQuerySet: (...queries) => {
        encoder.resolveQuerySet(...queries);
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
    const state: { dataId: object; read: GpuBuffer; written: GpuBuffer }[] = [];
    for (const [i, { dataId }] of after.entries()) {
      const [written, old] = [backend.tensorMap.get(dataId).resource, read[i] ?? null];
      if (written === null || old === null) return null;
      // Somebody who still holds the old value, or another part of the state, would see it change.
      if (written !== old && backend.bufferManager.isUsed(old)) return null;
      state.push({ dataId, read: old, written });
    }
    const moved = state.filter(({ read, written }) => read !== written);
    if (new Set(moved.flatMap(({ read, written }) => [read, written])).size < 2 * moved.length) return null;
    const { dispatches, inputs, reservation } = tap;
    return { dispatches, varying: [...tap.varying.values()], inputs, state, result: resultBuffer, reservation };
  }
}

type Turn = Pick<Commands, 'dispatches' | 'result'>;

class Recording implements StepRecording {
  readonly mustFinish = false;
  readonly #backend: WebgpuBackend;
  readonly #commands: Commands;
  /** What the next run gives to the device, and the one after it. */
  #turns: [next: Turn, afterwards: Turn];

  constructor(backend: WebgpuBackend, commands: Commands) {
    this.#backend = backend;
    this.#commands = commands;
    // The recorded step itself was the first: the state lies where it wrote.
    this.#turns = [exchanged(backend, commands), commands];
  }

  continues(state: readonly tf.Tensor[]): boolean {
    const { state: known } = this.#commands;
    // A second holder of a tensor counts on its staying as it is.
    return (
      state.length === known.length &&
      state.every(({ dataId }, i) => dataId === known[i]?.dataId && this.#backend.refCount(dataId) === 1)
    );
  }

  async run(data: readonly InputData[], numbers: StepNumbers): Promise<Float32Array> {
    const backend = this.#backend;
    this.#write(data, numbers);
    const [{ dispatches, result }, afterwards] = this.#turns;
    this.#turns = [afterwards, { dispatches, result }];
    for (const [i, part] of splitByWork(dispatches).entries()) {
      // Reading submits the last part: one submission per step, unless it is long.
      if (i > 0) backend.submitQueue();
      backend.commandEncoder = backend.device.createCommandEncoder();
      runDispatches(backend.commandEncoder.beginComputePass({}), part);
    }
    this.#moveState();
    return new Float32Array(await backend.getBufferData(result));
  }

  async profile(data: readonly InputData[], numbers: StepNumbers): Promise<TimedCommand[] | null> {
    const backend = this.#backend;
    if (!canTime(backend)) return null;
    this.#write(data, numbers);
    const [{ dispatches, result }, afterwards] = this.#turns;
    this.#turns = [afterwards, { dispatches, result }];
    const times = await timeDispatches(backend, dispatches);
    this.#moveState();
    return dispatches.map((dispatch, i) => {
      const { label, scope, multiplyAdds } = dispatch;
      return { label, scope, multiplyAdds, bytes: bytesOf(dispatch), ms: times[i] ?? 0 };
    });
  }

  dispose(): void {
    this.#backend.bufferManager.drop(this.#commands.reservation);
  }

  /** What differs from step to step. */
  #write(data: readonly InputData[], numbers: StepNumbers): void {
    const { queue } = this.#backend.device;
    const { varying, inputs } = this.#commands;
    flush(this.#backend);
    for (const [i, buffer] of inputs.entries()) {
      const contents = data[i];
      if (contents?.byteLength !== buffer.size) {
        throw new Error(`internal: input ${i} of a step has ${contents?.byteLength} bytes, expected ${buffer.size}`);
      }
      queue.writeBuffer(buffer, 0, contents);
    }
    for (const { buffer, encode } of varying) queue.writeBuffer(buffer, 0, encode(numbers));
  }

  #moveState(): void {
    const { bufferManager: pool, tensorMap } = this.#backend;
    for (const { dataId, read, written } of this.#commands.state) {
      const data = tensorMap.get(dataId);
      // What tfjs read of the old value.
      data.values = null;
      if (read === written || data.resource === null) continue;
      const other = data.resource === read ? written : read;
      pool.swapUse(data.resource, other);
      data.resource = other;
    }
  }
}

/** The same commands, reading the state where they wrote it and writing it where they read it. */
function exchanged(backend: WebgpuBackend, { dispatches, state, result }: Commands): Turn {
  const other = new Map<GpuBuffer, GpuBuffer>();
  for (const { read, written } of state) {
    if (read === written) continue;
    other.set(read, written);
    other.set(written, read);
  }
  const moved = dispatches.map((recorded) => {
    const { binding } = recorded;
    if (!binding.entries.some(({ resource }) => other.has(resource.buffer))) return recorded;
    const entries = binding.entries.map((entry) => ({
      ...entry,
      resource: { ...entry.resource, buffer: other.get(entry.resource.buffer) ?? entry.resource.buffer },
    }));
    const descriptor = { ...binding, entries };
    return { ...recorded, binding: descriptor, group: backend.device.createBindGroup(descriptor) };
  });
  return { dispatches: moved, result: other.get(result) ?? result };
}
