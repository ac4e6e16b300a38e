/** What an engine is: something that runs models on the CPU besides onnxruntime. */

import type { Session, SessionOptions } from './session.ts';

export interface EngineOptions extends SessionOptions {
  /** The float stem by Winograd's filtering; off unless told. */
  readonly fastStem?: boolean | undefined;
}

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
  readonly open: (model: string | Uint8Array, options?: EngineOptions) => Promise<CountedSession>;
}

export interface CountedSession extends Session {
  /** That run it, the calling one included. */
  readonly threads: number;
}
