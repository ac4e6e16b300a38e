/** Records training steps of the native backend: every call of the addon, with the arrays that it reads and writes. */

import type * as tf from '@tensorflow/tfjs-core';
import type { RecordedWork, StepRecorder } from '../step-recorder.ts';
import type { ProgramAddon } from './addon.ts';
import type { NativeBackend } from './backend.ts';
import { type RecordedState, RecordedStep, type StepRecord } from './recorded-step.ts';
import { StepTape, type Values } from './step-tape.ts';

export class NativeRecorder implements StepRecorder {
  readonly #backend: NativeBackend;
  readonly #addon: ProgramAddon;

  constructor(backend: NativeBackend, addon: ProgramAddon) {
    this.#backend = backend;
    this.#addon = addon;
  }

  async record({ state, run }: RecordedWork): Promise<{ result: tf.Tensor; recording: RecordedStep | null }> {
    const backend = this.#backend;
    const before = state().map((t) => this.#own(t));
    const tape = new StepTape(backend, before);
    let result: tf.Tensor;
    backend.tap = tape;
    try {
      result = await run((t) => tape.input(t));
    } catch (error) {
      backend.tap = null;
      for (const values of tape.left) backend.release(values);
      throw error;
    }
    backend.tap = null;
    const record = this.#recordOf(tape, before, state(), result);
    if (record !== null) return { result, recording: new RecordedStep(backend, this.#addon, record) };
    for (const values of tape.left) backend.release(values);
    return { result, recording: null };
  }

  /** Elements that nobody else has: runs write there. */
  #own(t: tf.Tensor): Values {
    const values = this.#backend.valuesOf(t);
    if (values === undefined) throw new Error('internal: the state of a step is no tensor of numbers');
    if (!(values instanceof Float32Array) || this.#backend.owns(values)) return values;
    const own = this.#backend.allocate(values.length);
    own.set(values);
    this.#backend.relocate(t, own);
    return own;
  }

  /** Null where the step cannot be run again. */
  #recordOf(
    tape: StepTape,
    before: readonly Values[],
    after: readonly tf.Tensor[],
    result: tf.Tensor,
  ): StepRecord | null {
    if (tape.problem !== '' || after.length !== before.length) return null;
    const state: RecordedState[] = [];
    for (const [i, tensor] of after.entries()) {
      const [home, written] = [before[i], this.#backend.valuesOf(tensor)];
      if (home === written) continue;
      if (!(home instanceof Float32Array && written instanceof Float32Array)) return null;
      // Somebody who still holds the old value would see it change; what the step did not make does not change with it.
      if (!tape.left.has(home) || !tape.makes(written)) return null;
      state.push({ tensor: { dataId: tensor.dataId, shape: tensor.shape, dtype: tensor.dtype }, home, written });
    }
    const arrays = new Set(state.flatMap(({ home, written }) => [home, written]));
    if (arrays.size < 2 * state.length) return null;
    const values = this.#backend.valuesOf(result);
    if (values === undefined || !this.#isAlone(tape, after, result, values, arrays)) return null;
    const { work, inputs, allocated } = tape;
    return { work, inputs, allocated, state, result: values, all: after };
  }

  /** Lets a result that is no part of the state have elements of its own; whether nothing else of the step is still in use. */
  #isAlone(
    tape: StepTape,
    after: readonly tf.Tensor[],
    result: tf.Tensor,
    values: Values,
    state: ReadonlySet<Values>,
  ): boolean {
    const others = [...tape.living].filter((array) => array !== values && !state.has(array));
    if (others.length > 0) return false;
    if (after.some(({ dataId }) => dataId === result.dataId)) return true;
    this.#backend.relocate(result, values.slice());
    if (tape.living.has(values as Float32Array)) this.#backend.release(values as Float32Array);
    return true;
  }
}
