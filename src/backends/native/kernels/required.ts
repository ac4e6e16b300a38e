/** Checks of inputs and attributes of our own kernels, which have no fallback. */

import type * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../../errors.ts';
import type { NativeBackend } from '../backend.ts';
import { type Attributes, type FloatInput, floatInput, type Inputs } from './kernel.ts';

/** @throws {BnnError} E_SHAPE when the input is missing, empty or not float32. */
export function requireFloats(backend: NativeBackend, kernel: string, inputs: Inputs, name: string): FloatInput {
  const input: tf.TensorInfo | undefined = inputs[name];
  const floats = floatInput(backend, input);
  if (floats !== undefined) return floats;
  const found = input === undefined ? 'missing' : `${input.dtype}[${input.shape.join(', ')}]`;
  throw new BnnError('E_SHAPE', `${kernel}: input ${name} is ${found}, expected a float32 tensor with elements`);
}

/** As `requireFloats`, of the same number of elements as `like`. */
export function requireSameSize(
  backend: NativeBackend,
  kernel: string,
  inputs: Inputs,
  name: string,
  like: FloatInput,
): FloatInput {
  const floats = requireFloats(backend, kernel, inputs, name);
  if (floats.values.length === like.values.length) return floats;
  throw new BnnError(
    'E_SHAPE',
    `${kernel}: input ${name} is [${floats.shape.join(', ')}], expected [${like.shape.join(', ')}]`,
  );
}

/** @throws {BnnError} E_USAGE when the attribute is not a number (NaN included). */
export function requireNumber(kernel: string, attrs: Attributes, name: string): number {
  const value = attrs[name];
  if (typeof value === 'number' && !Number.isNaN(value)) return value;
  throw new BnnError('E_USAGE', `${kernel}: attribute ${name} is ${String(value)}, expected a number`);
}

/** Pieces and limit of a slope's table. @throws {BnnError} E_USAGE when one of them is missing. */
export function requireTable(kernel: string, attrs: Attributes): [pieces: Float32Array, limit: number] {
  const { pieces } = attrs;
  if (!(pieces instanceof Float32Array)) throw new BnnError('E_USAGE', `${kernel}: pieces is no Float32Array`);
  return [pieces, requireNumber(kernel, attrs, 'limit')];
}
