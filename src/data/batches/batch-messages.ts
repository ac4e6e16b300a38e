/** What the main thread and the batch worker say to each other. */

import { BnnError, type ErrorCode } from '../../errors.ts';
import type { Split } from '../dataset.ts';
import type { Batch, BatchOptions } from './batch-maker.ts';

/** Given to the worker at its start; the pixels of a memory split are shared, not copied. */
export interface WorkerInput {
  readonly split: Split;
  readonly options: BatchOptions;
}

/** Each request is answered once, in order, unless it is cancelled first. */
export type Request =
  | {
      readonly kind: 'make';
      readonly id: number;
      readonly stream: number;
      readonly epoch: number;
      readonly index: number;
    }
  | { readonly kind: 'cancel'; readonly stream: number }
  /** The pictures of a batch that its receiver is done with. */
  | { readonly kind: 'recycle'; readonly buffer: ArrayBuffer };

export type Response =
  | { readonly kind: 'batch'; readonly id: number; readonly batch: Batch }
  | { readonly kind: 'error'; readonly id: number; readonly error: ErrorMessage };

/** Structured cloning keeps neither the class of an error nor its own fields. */
export interface ErrorMessage {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly at: string | undefined;
  readonly hint: string | undefined;
}

export function toErrorMessage(error: unknown): ErrorMessage {
  if (error instanceof BnnError) return { code: error.code, message: error.message, at: error.at, hint: error.hint };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: undefined, message, at: undefined, hint: undefined };
}

export function fromErrorMessage({ code, message, at, hint }: ErrorMessage): Error {
  return code === undefined
    ? new Error(`internal: in the batch worker: ${message}`)
    : new BnnError(code, message, { at, hint });
}
