/** What the convolution and dense families share: access to attributes and inputs, with their checks. */

import { isDtype, type Tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Attributes } from '../graph/attribute.ts';
import type { Dim, Shape, ValueType } from '../graph/graph.ts';
import type { InputSchema, OperatorSchema } from './definition.ts';

/**
 * An attribute that holds a list of integers of a known length.
 *
 * @throws {BnnError} E_FORMAT when it is missing or has another form.
 */
export function requiredInts(attributes: Attributes, name: string, length: number, at: string): readonly number[] {
  const found = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  if (found?.kind !== 'ints' || found.value.length !== length) {
    const what = found === undefined ? 'missing' : found.kind === 'ints' ? `[${found.value.join(', ')}]` : found.kind;
    throw new BnnError('E_FORMAT', `attribute ${name} is ${what}, expected ${length} integers`, { at });
  }
  return found.value;
}

/**
 * An attribute that holds a positive integer.
 *
 * @throws {BnnError} E_FORMAT when it is missing or has another form.
 */
export function requiredPositiveInt(attributes: Attributes, name: string, at: string): number {
  const found = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  if (found?.kind !== 'int' || found.value < 1) {
    const what = found === undefined ? 'missing' : found.kind === 'int' ? String(found.value) : found.kind;
    throw new BnnError('E_FORMAT', `attribute ${name} is ${what}, expected a positive integer`, { at });
  }
  return found.value;
}

/**
 * Checks dtype and shape of an input as far as they are known; null stands for an unknown or free size.
 *
 * @throws {BnnError} E_SHAPE when they do not fit.
 */
function expectType(type: ValueType, input: InputSchema, sizes: Shape, at: string): void {
  if (type.dtype !== null && type.dtype !== input.dtype) {
    throw new BnnError('E_SHAPE', `input ${input.name} is ${type.dtype}, expected ${input.dtype}`, { at });
  }
  if (type.shape === null) return;
  const found = type.shape;
  const fits =
    found.length === sizes.length &&
    found.every((size, i) => typeof size !== 'number' || typeof sizes[i] !== 'number' || size === sizes[i]);
  if (!fits) {
    const expected = sizes.map((size) => size ?? '?').join(', ');
    throw new BnnError('E_SHAPE', `input ${input.name} has shape [${found.join(', ')}], expected [${expected}]`, {
      at,
    });
  }
}

/**
 * Checks the types of all inputs; `sizes` holds what is expected of each, by name.
 *
 * @throws {BnnError} E_FORMAT when one is missing, E_SHAPE when one does not fit.
 */
export function expectInputs(
  schema: OperatorSchema,
  types: readonly ValueType[],
  sizes: Readonly<Record<string, readonly Dim[]>>,
  at: string,
): void {
  for (const [i, input] of schema.inputs.entries()) {
    const type = types[i];
    if (type === undefined) throw new BnnError('E_FORMAT', `input ${input.name} is missing`, { at });
    expectType(type, input, sizes[input.name] ?? [], at);
  }
}

/** Inputs by the names that the schema gives them. */
export function inputsByName<T>(schema: OperatorSchema, inputs: readonly T[]): ReadonlyMap<string, T> {
  const byName = new Map<string, T>();
  for (const [i, { name }] of schema.inputs.entries()) {
    const input = inputs[i];
    if (input !== undefined) byName.set(name, input);
  }
  return byName;
}

/** The elements of a float32 input of a reference implementation. */
export function floatData(t: Tensor | undefined, input: string, at: string): Float32Array {
  if (t === undefined || !isDtype(t, 'float32')) {
    throw new BnnError('E_FORMAT', `input ${input} is ${t?.dtype ?? 'missing'}, expected float32`, { at });
  }
  return t.data;
}
