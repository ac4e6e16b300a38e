/** What shape rules read from a node: types, constants, and parameters that are an attribute in one opset and an input in another. */

import { MAX_RANK, normalizeAxis } from '../../core/tensors/shape.ts';
import { type Dtype, type Tensor, toNumbers } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { formatShape } from '../format-type.ts';
import type { Node, Shape, Value, ValueType } from '../graph.ts';
import { mismatch } from './dims.ts';

export const UNKNOWN: ValueType = { dtype: null, shape: null };

/** The type of the i-th input, unknown when it is absent. */
export function inputType(node: Node, index: number): ValueType {
  return node.input(index) ?? UNKNOWN;
}

/** The data of a value that is a constant or the output of a `Constant` node with a tensor. */
export function constantOf(value: Value | null): Tensor | null {
  if (value === null) return null;
  if (value.constant !== null) return value.constant;
  return value.producer?.is('Constant') ? (value.producer.attribute('value', 'tensor') ?? null) : null;
}

/** More than any list of axes, sizes or pads has, but not so much that a constant of that size is worth reading. */
const MAX_LIST = 2 ** 16;

/** The elements of a constant list of integers; null when the value is not constant, or something else. */
export function constantInts(value: Value | null): readonly number[] | null {
  const constant = constantOf(value);
  if (constant === null || constant.data.length > MAX_LIST) return null;
  const numbers = toNumbers(constant);
  return numbers.every(Number.isInteger) ? numbers : null;
}

/**
 * A list that is given as an attribute or as an input.
 *
 * @returns undefined when it is not given, null when it is computed and so unknown here.
 */
export function attributeOrInput(node: Node, attribute: string, index: number): readonly number[] | null | undefined {
  const value = node.attribute(attribute, 'ints');
  if (value !== undefined) return value;
  return node.input(index) === null ? undefined : constantInts(node.input(index));
}

/**
 * An axis, from the end when negative, as a position.
 *
 * @throws {BnnError} E_SHAPE when out of range.
 */
export function axisOf(node: Node, axis: number, rank: number): number {
  const normal = normalizeAxis(axis, rank);
  if (normal === undefined) throw mismatch(node, `axis ${axis}`, `an axis of ${rank} dimensions`);
  return normal;
}

/** @throws {BnnError} E_SHAPE when the rank of the shape is known and not as expected. */
export function requireRank(node: Node, what: string, shape: Shape | null, rank: number): void {
  if (shape !== null && shape.length !== rank) {
    throw mismatch(node, `${what} of shape ${formatShape(shape)}`, `${rank} dimensions`);
  }
}

/**
 * The dtype that all given inputs share; null when none is known.
 *
 * @throws {BnnError} E_FORMAT when two differ.
 */
export function commonDtype(node: Node, indices: Iterable<number>): Dtype | null {
  let common: Dtype | null = null;
  for (const index of indices) {
    const { dtype } = inputType(node, index);
    if (dtype === null || dtype === common) continue;
    if (common !== null) {
      throw new BnnError('E_FORMAT', `inputs of ${common} and of ${dtype}, expected one element type`, {
        at: node.describe(),
      });
    }
    common = dtype;
  }
  return common;
}

/** The number of elements of a one-dimensional input, when known. */
export function lengthOf(value: Value | null): number | null {
  const [length] = value?.shape?.length === 1 ? value.shape : [];
  return typeof length === 'number' ? length : null;
}

/** A shape of `rank` unknown sizes. */
export function unknownShape(rank: number | null): Shape | null {
  return rank === null || rank > MAX_RANK ? null : new Array<null>(rank).fill(null);
}
