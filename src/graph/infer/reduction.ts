/** Shape rules: reductions over axes. */

import type { Shape } from '../graph.ts';
import { attributeOrInput, axisOf, inputType, unknownShape } from './node-facts.ts';
import type { InferRule } from './rule.ts';

/** Axes are an attribute until opset 17 (ReduceSum: 12), an input since; none means all, or nothing with `noop_with_empty_axes`. */
const reduce: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const keep = node.int('keepdims', 1) !== 0;
  const axes = attributeOrInput(node, 'axes', 1);
  if (axes === null) return [{ dtype, shape: keep ? unknownShape(x?.length ?? null) : null }];
  if ((axes === undefined || axes.length === 0) && node.int('noop_with_empty_axes', 0) !== 0)
    return [{ dtype, shape: x }];
  if (x === null) return [{ dtype, shape: axes === undefined && !keep ? [] : null }];
  const all = axes === undefined || axes.length === 0;
  const reduced = new Set(all ? x.keys() : axes.map((axis) => axisOf(node, axis, x.length)));
  return [{ dtype, shape: without(x, reduced, keep) }];
};

/** The position of the extreme along one axis. */
const argExtreme: InferRule = (node) => {
  const { shape: x } = inputType(node, 0);
  if (x === null) return [{ dtype: 'int64', shape: null }];
  const axis = axisOf(node, node.int('axis', 0), x.length);
  return [{ dtype: 'int64', shape: without(x, new Set([axis]), node.int('keepdims', 1) !== 0) }];
};

function without(x: Shape, axes: ReadonlySet<number>, keep: boolean): Shape {
  return keep ? x.map((dim, axis) => (axes.has(axis) ? 1 : dim)) : x.filter((_, axis) => !axes.has(axis));
}

const REDUCTIONS = ['Mean', 'Sum', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'];

export const REDUCTION_RULES: Readonly<Record<string, InferRule>> = {
  ...Object.fromEntries(REDUCTIONS.map((kind) => [`Reduce${kind}`, reduce])),
  ArgMax: argExtreme,
  ArgMin: argExtreme,
};
