/** Training steps whose commands are recorded once and run again on other data: what a backend may offer for it. */

import type * as tf from '@tensorflow/tfjs-core';

/** Numbers that differ from step to step; kernels that use them read them anew each time. */
export interface StepNumbers {
  /** Learning rate. */
  readonly lr: number;
  /** Counts from 1. */
  readonly step: number;
}

export type InputData = Float32Array | Int32Array;

/** Is shown a tensor, and returns it. */
export type InputTap = <T extends tf.Tensor>(t: T) => T;

export interface RecordedWork {
  /**
   * The tensors that a step replaces by their next values, e.g. weights: called before and after it, in the same order. All of them,
   * or what is run again starts from old values.
   */
  readonly state: () => readonly tf.Tensor[];
  /**
   * The step. It passes each tensor of data that differ between steps through `input`, at most once, before using it; other data,
   * numbers but `StepNumbers` and decisions of the host are recorded as they are. Resolves to what is read of each step.
   */
  readonly run: (input: InputTap) => Promise<tf.Tensor>;
}

export interface StepRecorder {
  /**
   * Runs a step and records its commands.
   *
   * @returns the step's result, the caller's, and the recording; null where the commands cannot be run again.
   */
  record(work: RecordedWork): Promise<{ readonly result: tf.Tensor; readonly recording: StepRecording | null }>;
}

/** A command of a step, as it was measured. */
export interface TimedCommand {
  /** What it does. */
  readonly label: string;
  /** The layer that it is for. */
  readonly scope: string;
  readonly ms: number;
  /** Of all buffers that it reads or writes. */
  readonly bytes: number;
  /** Of floats; 0 where there are few. */
  readonly multiplyAdds: number;
}

export interface StepRecording {
  /** Whether nothing else may use the backend until a run has ended. */
  readonly mustFinish: boolean;
  /** Whether the tensors of the state are those that the last run of this recording left. */
  continues(state: readonly tf.Tensor[]): boolean;
  /**
   * Runs the commands again; the tensors of the state have new values then.
   *
   * @param data  contents of the inputs, in the order of the recording's calls of `input`.
   * @returns contents of the result.
   */
  run(data: readonly InputData[], numbers: StepNumbers): Promise<Float32Array>;
  /** As `run`, one command after the other, with the time of each; null where the device cannot measure it. */
  profile(data: readonly InputData[], numbers: StepNumbers): Promise<TimedCommand[] | null>;
  /** What the last run took, where every run is measured; its kernels are done when it ends then. */
  lastCommands?(): TimedCommand[];
  /** Gives its memory back. */
  dispose(): void;
}
