/** What every decoding function is handed: where it is in the file, and how to fail there. */

import { BnnError, type ErrorCode } from '../errors.ts';

/**
 * Reads part of a file beside the model. Returns exactly `length` bytes.
 *
 * @param location  path relative to the model's folder, as the file gives it: not to be trusted.
 * @param offset    bytes from the start of that file.
 */
export type ReadExternal = (location: string, offset: number, length: number) => Uint8Array;

export class DecodeContext {
  readonly at: string;
  readonly readExternal: ReadExternal | undefined;

  constructor(at: string, readExternal?: ReadExternal) {
    this.at = at;
    this.readExternal = readExternal;
  }

  /** A context one level deeper: `model.onnx > node "conv1" (Conv)`. */
  inside(part: string): DecodeContext {
    return new DecodeContext(`${this.at} > ${part}`, this.readExternal);
  }

  fail(message: string, code: ErrorCode = 'E_FORMAT', hint?: string): never {
    throw new BnnError(code, message, { at: this.at, hint });
  }

  unsupported(message: string, hint?: string): never {
    return this.fail(message, 'E_UNSUPPORTED', hint);
  }
}
