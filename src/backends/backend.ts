/** What a backend is: a target of TensorFlow.js that training runs on. */

import type { Found } from '../core/found.ts';
import type { KernelSet } from '../kernels/contract.ts';
import type { StepRecorder } from './step-recorder.ts';

/** A row of the table in `backends.ts`. Knowing it loads nothing. */
export interface Backend {
  /** In tfjs and for `--backend`. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  readonly capabilities: Capabilities;
  /** Whether `auto` may choose it where it computes on the processor. */
  readonly isAutomatic: boolean;
  /** Puts it into tfjs with its kernels, or says why it does not work here. It does not become the current backend. */
  readonly load: (threads?: number) => Promise<Found<LoadedBackend>>;
  /** What `bnn setup` does for it. */
  readonly setup?: Setup;
}

/** What other parts of the toolchain ask about a backend instead of its name. */
export interface Capabilities {
  /** Whether it may compute on a GPU. */
  readonly gpu: boolean;
  /** Whether `threads` does something. */
  readonly threads: boolean;
  /** Whether BNN_KERNEL chooses its kernels. */
  readonly kernelChoice: boolean;
  /** Whether convolutions and poolings of tfjs take pairs as padding, not only VALID and SAME. */
  readonly explicitPadding: boolean;
  /** Whether kernels have finished when they return, so that their time can be measured. */
  readonly synchronous: boolean;
  /** Whether tensors lie in memory of a device, which only `memory()` counts, not the system. */
  readonly deviceMemory: boolean;
}

/** A backend that works here. */
export interface LoadedBackend {
  readonly isGpu: boolean;
  /** What it computes on, for people. */
  readonly device: string;
  /** What `bnn doctor` tells of it. */
  readonly detail: string;
  readonly kernels: KernelSet<never>;
  /** Called when it is tfjs's current backend. */
  readonly start: (threads: number) => RunningBackend;
}

export interface BackendMemory {
  /** Bytes that tensors hold now. */
  readonly bytesInUse: number;
  /** The highest bytesInUse so far; equal to bytesInUse where the backend does not count. */
  readonly peakBytes: number;
}

export interface RunningBackend {
  /** One line for people, e.g. "native avx512, 2 threads". */
  readonly description: string;
  readonly threads: number;
  /** The instruction set of the kernels, where we choose it. */
  readonly isa: string | null;
  memory(): BackendMemory;
  /** Gflop/s of float32 multiply-adds in registers, where it can be measured; takes some milliseconds. */
  multiplyAddPeak?(): Promise<number>;
  /** Where the commands of a training step can be recorded and run again. */
  readonly recorder?: StepRecorder;
}

export interface SetupOptions {
  /** A Python interpreter that has TensorFlow. */
  readonly python?: string | undefined;
  /** An unpacked libtensorflow. */
  readonly libtensorflow?: string | undefined;
}

export interface Setup {
  /** Those of `SetupOptions` that it knows. */
  readonly options: readonly (keyof SetupOptions)[];
  /**
   * Installs what the backend needs.
   *
   * @returns what was done, as facts and as text.
   * @throws {BnnError} naming what failed and what to do about it.
   */
  readonly run: (
    options: SetupOptions,
    onStage: (line: string) => void,
  ) => Promise<{ readonly facts: object; readonly text: string }>;
}

/** As backends describe themselves. */
export function threadsInWords(started: number, wanted: number): string {
  const lack = started < wanted ? ` instead of ${wanted}: the system allows no more` : '';
  return `${started} thread${started === 1 ? '' : 's'}${lack}`;
}
