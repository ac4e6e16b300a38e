/** What a backend is: a target of TensorFlow.js that training runs on. */

import type { Found } from '../core/found.ts';
import type { KernelSet } from '../kernels/contract.ts';
import type { BackendFacts, Capabilities, Setup } from './backend-facts.ts';
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
  /** What `load` would say in `detail`, found out without TensorFlow.js; null, or not there, where only loading tells. */
  readonly inspect?: () => Promise<Found<string> | null>;
  /** What `bnn setup` does for it. */
  readonly setup?: Setup;
}

/** A backend that works here. */
export interface LoadedBackend {
  readonly isGpu: boolean;
  /** Why it is no GPU, where that can be told. */
  readonly gpuLack?: string;
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

export interface RunningBackend extends Pick<BackendFacts, 'description' | 'threads' | 'isa'> {
  memory(): BackendMemory;
  /** Gives memory that is kept for the next tensors back to the device. */
  trimMemory?(): void;
  /** Gflop/s of float32 multiply-adds in registers, where it can be measured; takes some milliseconds. */
  multiplyAddPeak?(): Promise<number>;
  /** GB/s of reading and writing the device's memory, where it can be measured. */
  bandwidthPeak?(): Promise<number>;
  /** Whether this processor multiplies bfloat16 faster than float32. */
  readonly fasterInBf16?: boolean;
  /** Where the commands of a training step can be recorded and run again. */
  readonly recorder?: StepRecorder;
}

/** As backends describe themselves. */
export function threadsInWords(started: number, wanted: number): string {
  const lack = started < wanted ? ` instead of ${wanted}: the system allows no more` : '';
  return `${started} thread${started === 1 ? '' : 's'}${lack}`;
}
