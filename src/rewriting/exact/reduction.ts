/** Operators that reduce along axes, in float64. */

import { elementCount } from '../../core/tensors/shape.ts';
import { broadcastStrides, type Evaluator, walk } from './evaluator.ts';
import { listedAxes } from './movement.ts';

/**
 * A reduction over the axes of a node.
 *
 * @param start    of every total.
 * @param combine  adds a number to a total.
 * @param finish   makes the result of a total of `count` numbers.
 */
const reduction =
  (
    start: number,
    combine: (total: number, x: number) => number,
    finish: (total: number, count: number) => number = (total) => total,
  ): Evaluator =>
  ([x, axesInput], node) => {
    if (x === undefined || x.data.length === 0) return null;
    const listed = listedAxes(node, axesInput, x.shape.length);
    if (listed === null) return null;
    if (listed.length === 0 && node.int('noop_with_empty_axes', 0) === 1) return x;
    const isReduced = x.shape.map((_, axis) => listed.length === 0 || listed.includes(axis));
    const kept = x.shape.map((size, axis) => (isReduced[axis] === true ? 1 : size));
    const totals = new Float64Array(elementCount(kept)).fill(start);
    walk(x.shape, [broadcastStrides(kept, x.shape)], (first, count, [at = 0], [step = 0]) => {
      for (let n = 0; n < count; n++)
        totals[at + n * step] = combine(totals[at + n * step] ?? 0, x.data[first + n] ?? 0);
    });
    const count = x.data.length / totals.length;
    const shape = node.int('keepdims', 1) === 1 ? kept : x.shape.filter((_, axis) => isReduced[axis] !== true);
    return { ...x, shape, data: totals.map((total) => finish(total, count)) };
  };

const sum = (a: number, b: number): number => a + b;

/** By `Node.type`. */
export const REDUCTIONS: readonly (readonly [string, Evaluator])[] = [
  ['ReduceL1', reduction(0, (total, x) => total + Math.abs(x))],
  ['ReduceL2', reduction(0, (total, x) => total + x * x, Math.sqrt)],
  ['ReduceMax', reduction(-Infinity, Math.max)],
  ['ReduceMean', reduction(0, sum, (total, count) => total / count)],
  ['ReduceMin', reduction(Infinity, Math.min)],
  ['ReduceProd', reduction(1, (a, b) => a * b)],
  ['ReduceSum', reduction(0, sum)],
  ['ReduceSumSquare', reduction(0, (total, x) => total + x * x)],
];
