/** Takes training steps by running the commands of an earlier one again, where the backend can. */

import type * as tf from '@tensorflow/tfjs-core';
import type {
  InputData,
  RecordedWork,
  StepNumbers,
  StepRecorder,
  StepRecording,
  TimedCommand,
} from '../../backends/step-recorder.ts';

export interface TakenStep {
  /** On its way from the device. */
  readonly result: Promise<Float32Array>;
  /** Whether recorded commands took the step, so that nothing on the host knows of it. */
  readonly isReplay: boolean;
}

export class StepReplay {
  readonly #recorder: StepRecorder;
  #key = '';
  #recording: StepRecording | null = null;

  constructor(recorder: StepRecorder) {
    this.#recorder = recorder;
  }

  /**
   * @param key   of all that the commands depend on, but the data and the numbers; another key is another recording.
   * @param data  what the tensors that `work` passes through `input` hold, in that order.
   */
  async take(key: string, data: readonly InputData[], numbers: StepNumbers, work: RecordedWork): Promise<TakenStep> {
    if (this.#recording !== null && key === this.#key && this.#recording.continues(work.state())) {
      const result = this.#recording.run(data, numbers);
      if (this.#recording.mustFinish) await result;
      return { result, isReplay: true };
    }
    this.drop();
    const { result, recording } = await this.#recorder.record(work);
    this.#key = key;
    this.#recording = recording;
    return { result: readOnce(result), isReplay: false };
  }

  /** Takes a step as `take` would, and measures each of its commands; null where there is no recording, or no clock on the device. */
  async profile(
    key: string,
    data: readonly InputData[],
    numbers: StepNumbers,
    state: readonly tf.Tensor[],
  ): Promise<TimedCommand[] | null> {
    if (this.#recording === null || key !== this.#key || !this.#recording.continues(state)) return null;
    return await this.#recording.profile(data, numbers);
  }

  /** What the last replay took, command by command, where the host knows. */
  lastCommands(): TimedCommand[] | undefined {
    return this.#recording?.lastCommands?.();
  }

  /** Forgets the recording and gives its memory back. */
  drop(): void {
    this.#recording?.dispose();
    this.#recording = null;
  }
}

async function readOnce(t: tf.Tensor): Promise<Float32Array> {
  try {
    return (await t.data()) as Float32Array;
  } finally {
    t.dispose();
  }
}
