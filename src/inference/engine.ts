/** What an engine is: something that runs models on the CPU besides onnxruntime. */

import type { Session, SessionOptions } from './session.ts';

/** A row of the table in `engines.ts`. */
export interface Engine<N extends string = string> {
  /** For `--engine`. */
  readonly name: N;
  /** For people: what it is made of. */
  readonly title: string;
  /**
   * Loads a model.
   *
   * @param model  path of an ONNX file, or its bytes.
   * @throws {BnnError} E_UNSUPPORTED for what it does not run, E_BACKEND where it does not work here, else as `createSession`.
   */
  readonly open: (model: string | Uint8Array, options?: SessionOptions) => Promise<CountedSession>;
}

export interface CountedSession extends Session {
  /** That run it, the calling one included. */
  readonly threads: number;
}
