/** What evaluators of operators are, and the walk over tensors that they share. */

import { broadcastShapes, elementCount, rowMajorStrides } from '../../core/tensors/shape.ts';
import type { Dtype } from '../../core/tensors/tensor.ts';
import type { Node } from '../../graph/graph.ts';
import type { Exact } from './exact.ts';

/** Returns null when this use of the operator is not handled, or the result has more than `maxElements`. */
export type Evaluator = (inputs: readonly Exact[], node: Node, maxElements: number) => Exact | null;

/**
 * Goes through the elements of a shape in their order, in runs along which each operand moves by equal steps.
 *
 * @param strides  of each operand: how far it moves for a step along each axis.
 * @param visit    gets the number of the first element of a run, how many they are, and for each operand where it is and its step; the
 *   arrays are reused.
 */
export function walk(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (first: number, count: number, at: readonly number[], steps: readonly number[]) => void,
): void {
  const axes = shape
    .map((size, axis) => ({ size, steps: strides.map((own) => own[axis] ?? 0) }))
    .filter(({ size }) => size !== 1);
  // Axes that every operand goes through as through one are one.
  for (let axis = axes.length - 2; axis >= 0; axis--) {
    const [outer, inner] = [axes[axis], axes[axis + 1]];
    if (outer === undefined || inner === undefined) continue;
    if (!outer.steps.every((step, k) => step === (inner.steps[k] ?? 0) * inner.size)) continue;
    axes.splice(axis, 2, { size: outer.size * inner.size, steps: inner.steps });
  }
  const run = axes.pop() ?? { size: 1, steps: strides.map(() => 0) };
  const at = strides.map(() => 0);
  const coordinates = axes.map(() => 0);
  const count = elementCount(shape);
  for (let i = 0; i < count; i += run.size) {
    visit(i, run.size, at, run.steps);
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      const { size, steps } = axes[axis] ?? run;
      const next = (coordinates[axis] ?? 0) + 1;
      const wraps = next === size;
      coordinates[axis] = wraps ? 0 : next;
      for (let k = 0; k < at.length; k++) at[k] = (at[k] ?? 0) + (steps[k] ?? 0) * (wraps ? 1 - next : 1);
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

/** Applies a function of numbers to up to three tensors that are broadcast against each other. */
export function broadcast(
  inputs: readonly Exact[],
  dtype: Dtype,
  maxElements: number,
  f: (a?: number, b?: number, c?: number) => number,
): Exact | null {
  let shape: readonly number[] | undefined = [];
  for (const input of inputs) shape = shape === undefined ? undefined : broadcastShapes(shape, input.shape);
  if (shape === undefined || elementCount(shape) > maxElements) return null;
  const target = shape;
  const data = new Float64Array(elementCount(target));
  const [a, b, c] = inputs.map((input) => input.data);
  walk(
    target,
    inputs.map((input) => broadcastStrides(input.shape, target)),
    (first, count, [i = 0, j = 0, k = 0], [di = 0, dj = 0, dk = 0]) => {
      for (let n = 0; n < count; n++) data[first + n] = f(a?.[i + n * di], b?.[j + n * dj], c?.[k + n * dk]);
    },
  );
  return { dtype, shape: target, data };
}
