/** What evaluators of operators are, and the walk over tensors that they share. */

import { broadcastShapes, elementCount, rowMajorStrides } from '../../core/shape.ts';
import type { Dtype } from '../../core/tensor.ts';
import type { Node } from '../../graph/graph.ts';
import type { Exact } from './exact.ts';

/** Returns null when this use of the operator is not handled, or the result has more than `maxElements`. */
export type Evaluator = (inputs: readonly Exact[], node: Node, maxElements: number) => Exact | null;

/**
 * Goes through the elements of a shape in their order.
 *
 * @param strides  of each operand: how far it moves for a step along each axis.
 * @param visit    gets the number of the element and the place in each operand; the array is reused.
 */
export function walk(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (index: number, at: readonly number[]) => void,
): void {
  const at = strides.map(() => 0);
  const coordinates = shape.map(() => 0);
  const count = elementCount(shape);
  for (let i = 0; i < count; i++) {
    visit(i, at);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (coordinates[axis] ?? 0) + 1;
      const wraps = next === shape[axis];
      coordinates[axis] = wraps ? 0 : next;
      for (let k = 0; k < at.length; k++) at[k] = (at[k] ?? 0) + (strides[k]?.[axis] ?? 0) * (wraps ? 1 - next : 1);
      if (!wraps) break;
    }
  }
}

/** Strides of a tensor that is broadcast to a shape: 0 along the axes in which it repeats. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = rowMajorStrides(from);
  const lead = to.length - from.length;
  return to.map((_, axis) => (axis < lead || from[axis - lead] === 1 ? 0 : (strides[axis - lead] ?? 0)));
}

/** Applies a function of numbers to tensors that are broadcast against each other. */
export function broadcast(
  inputs: readonly Exact[],
  dtype: Dtype,
  maxElements: number,
  f: (...x: number[]) => number,
): Exact | null {
  let shape: readonly number[] | undefined = [];
  for (const input of inputs) shape = shape === undefined ? undefined : broadcastShapes(shape, input.shape);
  if (shape === undefined || elementCount(shape) > maxElements) return null;
  const target = shape;
  const data = new Float64Array(elementCount(target));
  const numbers = inputs.map(() => 0);
  walk(
    target,
    inputs.map((input) => broadcastStrides(input.shape, target)),
    (i, at) => {
      for (let k = 0; k < numbers.length; k++) numbers[k] = inputs[k]?.data[at[k] ?? 0] ?? Number.NaN;
      data[i] = f(...numbers);
    },
  );
  return { dtype, shape: target, data };
}
