/** A recorded step of the native backend, run again: calls of the addon at once on another thread, what is JavaScript between them. */

import type * as tf from '@tensorflow/tfjs-core';
import type { InputData, StepNumbers, StepRecording, TimedCommand } from '../step-recorder.ts';
import type { NativeProgram, ProgramAddon, RecordedArgument, RecordedCall } from './addon.ts';
import type { NativeBackend } from './backend.ts';
import type { Reservation } from './memory-pool.ts';
import { planStep, type StatePart } from './step-plan.ts';
import {
  type AddonWork,
  arraysOf,
  type HostWork,
  NUMBERS,
  type StepInput,
  type TensorUse,
  type Values,
  type Work,
} from './step-tape.ts';

export interface RecordedState extends StatePart {
  readonly tensor: tf.TensorInfo;
}

/** What a recording is made of. */
export interface StepRecord {
  readonly work: readonly Work[];
  readonly inputs: readonly StepInput[];
  /** In the pool's memory. */
  readonly allocated: readonly Float32Array[];
  readonly state: readonly RecordedState[];
  readonly result: Values;
  /** Tensors of the state that the step leaves as they are. */
  readonly all: readonly tf.TensorInfo[];
}

/** Calls that touch fewer elements than this are made at once: another thread is not worth its while. */
const FEW_ELEMENTS = 2 ** 18;

/** What runs in one go. */
type Part = HostPart | { readonly begin: number; readonly end: number; readonly isLong: boolean };

interface HostPart {
  readonly host: HostWork;
  readonly inputs: tf.NamedTensorInfoMap;
}

/** Made of a record when it is first run. */
interface Runnable {
  readonly program: NativeProgram;
  readonly parts: readonly Part[];
  readonly calls: readonly AddonWork[];
  /** Tensors of arrays that JavaScript reads, in the order of the inputs where they are such. */
  readonly lent: ReadonlyMap<Values, tf.TensorInfo>;
  readonly result: Values;
  readonly numbers: number[];
  readonly times: readonly Float64Array[];
}

export class RecordedStep implements StepRecording {
  readonly mustFinish = true;
  readonly #backend: NativeBackend;
  readonly #addon: ProgramAddon;
  readonly #record: StepRecord;
  readonly #reservations: Reservation[] = [];
  #runnable: Runnable | null = null;
  #isRunning = false;
  #isDisposed = false;

  constructor(backend: NativeBackend, addon: ProgramAddon, record: StepRecord) {
    this.#backend = backend;
    this.#addon = addon;
    this.#record = record;
    this.#reserve(record.allocated);
  }

  continues(state: readonly tf.Tensor[]): boolean {
    const { all } = this.#record;
    // A second holder of a tensor counts on its staying as it is.
    return (
      state.length === all.length &&
      state.every(({ dataId }, i) => dataId === all[i]?.dataId && this.#backend.refCount(dataId) === 1)
    );
  }

  async run(data: readonly InputData[], numbers: StepNumbers): Promise<Float32Array> {
    this.#runnable ??= this.#prepare();
    const runnable = this.#runnable;
    if (this.#isRunning) throw new Error('internal: the step is running');
    this.#set(runnable, data, numbers);
    const inputs = data as readonly Float32Array[];
    this.#isRunning = true;
    try {
      for (const [i, part] of runnable.parts.entries()) {
        if ('host' in part) this.#runHost(part);
        else {
          const span = [part.begin, part.end, runnable.numbers, inputs, runnable.times[i] ?? null] as const;
          if (part.isLong) await this.#addon.runProgram(runnable.program, ...span);
          else this.#addon.callProgram(runnable.program, ...span);
        }
      }
    } finally {
      this.#isRunning = false;
      if (this.#isDisposed) this.#free();
    }
    return Float32Array.from(runnable.result);
  }

  async profile(data: readonly InputData[], numbers: StepNumbers): Promise<TimedCommand[]> {
    await this.run(data, numbers);
    return this.lastCommands();
  }

  /** The calls of the addon in the last run. */
  lastCommands(): TimedCommand[] {
    const { calls = [], times = [] } = this.#runnable ?? {};
    const ms = times.flatMap((part) => [...part]);
    return calls.map((call, i) => ({
      label: call.name,
      scope: call.scope,
      ms: ms[i] ?? 0,
      bytes: arraysOf(call).reduce((sum, { byteLength }) => sum + byteLength, 0),
      multiplyAdds: multiplyAddsOf(call),
    }));
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (!this.#isRunning) this.#free();
  }

  #free(): void {
    for (const tensor of this.#runnable?.lent.values() ?? []) this.#backend.letGo(tensor);
    for (const reservation of this.#reservations) this.#backend.giveBack(reservation);
    // Before the first run the state is still where the recorded step left it.
    if (this.#runnable === null) for (const { home } of this.#record.state) this.#backend.release(home);
    this.#runnable = null;
  }

  /** Keeps the room of what a run writes from others, as far as no tensor is there. */
  #reserve(arrays: Iterable<Float32Array>): void {
    this.#reservations.push(this.#backend.reserve(arrays));
  }

  #prepare(): Runnable {
    const { inputs, state, result, work } = this.#record;
    const plan = planStep(work, state);
    for (const { tensor, home, written } of state) {
      home.set(written);
      this.#backend.relocate(tensor, home);
      this.#backend.release(written);
    }
    // What the tensors of the state left may have been others' room earlier in the step.
    this.#reserve(plan.work.flatMap(arraysOf).filter((values) => values instanceof Float32Array));
    const indexOf = new Map(inputs.map(({ values }, i) => [values, i]));
    const calls: AddonWork[] = [];
    const parts: Part[] = [];
    const lent = new Map<Values, tf.TensorInfo>();
    const lend = ({ values, shape, dtype }: TensorUse): tf.TensorInfo => {
      const { dataId } = lent.get(values) ?? this.#backend.lend(values, shape, dtype);
      lent.set(values, { dataId, shape: [...shape], dtype });
      return { dataId, shape: [...shape], dtype };
    };
    for (const group of groupsOf(plan.work)) {
      if (!Array.isArray(group)) {
        const given = group.inputs;
        const tensors = Array.isArray(given)
          ? given.map(lend)
          : Object.fromEntries(
              Object.entries(given as Record<string, TensorUse>).map(([name, use]) => [name, lend(use)]),
            );
        parts.push({ host: group, inputs: tensors as tf.NamedTensorInfoMap });
        continue;
      }
      const elements = group.flatMap(arraysOf).reduce((sum, { length }) => sum + length, 0);
      parts.push({ begin: calls.length, end: calls.length + group.length, isLong: elements >= FEW_ELEMENTS });
      calls.push(...group);
    }
    const argument = (arg: RecordedArgument): RecordedArgument => {
      const input = arg instanceof Float32Array ? indexOf.get(arg) : undefined;
      return input === undefined ? arg : { input, length: inputs[input]?.length ?? 0 };
    };
    const program = this.#addon.createProgram(
      calls.map(({ name, args }): RecordedCall => [name, ...args.map(argument)]),
    );
    const times = parts.map((part) => new Float64Array('host' in part ? 0 : part.end - part.begin));
    return { program, parts, calls, lent, result: plan.placeOf(result), numbers: [0, 0], times };
  }

  #set({ numbers, lent }: Runnable, data: readonly InputData[], { lr, step }: StepNumbers): void {
    numbers[NUMBERS.lr] = lr;
    numbers[NUMBERS.step] = step;
    for (const [i, { values, length }] of this.#record.inputs.entries()) {
      const given = data[i];
      if (given?.length !== length) {
        throw new Error(`internal: input ${i} of a step has ${given?.length} numbers, expected ${length}`);
      }
      const tensor = lent.get(values);
      if (tensor !== undefined) this.#backend.relocate(tensor, given);
    }
  }

  #runHost({ host, inputs }: HostPart): void {
    const { kernel, attrs, outputs } = host;
    const made = [kernel.kernelFunc({ inputs, attrs, backend: this.#backend } as never)].flat();
    for (const [i, tensor] of made.entries()) {
      const values = this.#backend.valuesOf(tensor);
      if (values?.length !== outputs[i]?.length) throw new Error(`internal: ${kernel.kernelName} made another tensor`);
      if (values !== undefined) outputs[i]?.set(values);
      this.#backend.disposeData(tensor.dataId);
    }
  }
}

/** Of floats; 0 for what is no convolution. */
function multiplyAddsOf({ name, args }: AddonWork): number {
  const shape = args.find((arg) => arg instanceof Int32Array);
  if (!/^(binaryC|c)onv2d/.test(name) || shape === undefined || name === 'binaryConv2d') return 0;
  const [batch = 0, , , inputs = 0, height = 0, width = 0, outputs = 0, outHeight = 0, outWidth = 0] = shape;
  const groups = shape[15] ?? 1;
  return (batch * outHeight * outWidth * height * width * inputs * outputs) / groups;
}

/** Neighbouring calls of the addon together, and what is JavaScript by itself. */
function groupsOf(work: readonly Work[]): (AddonWork[] | HostWork)[] {
  const groups: (AddonWork[] | HostWork)[] = [];
  for (const item of work) {
    const last = groups.at(-1);
    if (item.kind === 'host') groups.push(item);
    else if (Array.isArray(last)) last.push(item);
    else groups.push([item]);
  }
  return groups;
}
