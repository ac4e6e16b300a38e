/** What the convolution and dense families share: epilogue inputs, attribute access, the epilogue itself. */

import { isDtype, type Tensor } from '../core/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Attributes } from '../graph/attribute.ts';
import type { Shape, ValueType } from '../graph/graph.ts';
import type { InputSchema } from './definition.ts';
import type { LayerVariant } from './variants.ts';

/** Inputs 2 and later of a layer operator. */
export function epilogueInputs(variant: LayerVariant, outputShape: string): InputSchema[] {
  const inputs: InputSchema[] = [
    { name: 'scale', dtype: 'float32', shape: '[O]', doc: 'factor per output channel, of either sign' },
    { name: 'bias', dtype: 'float32', shape: '[O]', doc: 'added after the scale' },
  ];
  if (variant.add) {
    inputs.push({ name: 'residual', dtype: 'float32', shape: outputShape, doc: 'added last, not broadcast' });
  }
  return inputs;
}

/** One sentence on what the operator computes; `product` is the accumulator in words. */
export function layerDoc(variant: LayerVariant, product: string): string {
  const acc = variant.relu ? 'max(acc, 0)' : 'acc';
  return `scale · ${acc} + bias${variant.add ? ' + residual' : ''}, acc = ${product}.`;
}

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
export function expectType(type: ValueType, input: InputSchema, sizes: Shape, at: string): void {
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

/** The elements of a float32 input of a reference implementation. */
export function floatData(t: Tensor | undefined, input: string, at: string): Float32Array {
  if (t === undefined || !isDtype(t, 'float32')) {
    throw new BnnError('E_FORMAT', `input ${input} is ${t?.dtype ?? 'missing'}, expected float32`, { at });
  }
  return t.data;
}
