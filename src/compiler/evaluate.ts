/** Float64 evaluation of the operators that appear in constant expressions: scaling factors, shapes, layout changes. */

import { signOf } from '../core/bits.ts';
import { broadcastShapes, elementCount, MAX_RANK, normalizeAxis, rowMajorStrides } from '../core/shape.ts';
import type { Dtype } from '../core/tensor.ts';
import type { Node } from '../graph/graph.ts';
import { type Exact, exactOf, isInteger } from './exact.ts';

/** Returns null when this use of the operator is not handled, or the result has more than `maxElements`. */
export type Evaluator = (inputs: readonly Exact[], node: Node, maxElements: number) => Exact | null;

const unary =
  (f: (x: number) => number): Evaluator =>
  ([x]) =>
    x === undefined ? null : { ...x, data: x.data.map(f) };

const binary =
  (f: (a: number, b: number) => number, integer: (x: number) => number = (x) => x): Evaluator =>
  ([a, b], _, maxElements) => {
    if (a === undefined || b === undefined || a.dtype !== b.dtype) return null;
    const shape = broadcastShapes(a.shape, b.shape);
    if (shape === undefined || elementCount(shape) > maxElements) return null;
    const left = broadcastIndex(a.shape, shape);
    const right = broadcastIndex(b.shape, shape);
    const data = new Float64Array(elementCount(shape));
    const finish = isInteger(a.dtype) ? integer : (x: number) => x;
    for (let i = 0; i < data.length; i++) data[i] = finish(f(a.data[left(i)] ?? 0, b.data[right(i)] ?? 0));
    return { dtype: a.dtype, shape, data, fromSign: a.fromSign || b.fromSign };
  };

/** Maps a flat index of the broadcast shape to one of an operand. */
function broadcastIndex(from: readonly number[], to: readonly number[]): (index: number) => number {
  const count = elementCount(from);
  if (count === elementCount(to)) return (index) => index;
  if (count === 1) return () => 0;
  const strides = rowMajorStrides(from);
  const outer = rowMajorStrides(to);
  const lead = to.length - from.length;
  return (index) => {
    let rest = index;
    let at = 0;
    for (let axis = 0; axis < to.length; axis++) {
      const step = outer[axis] ?? 1;
      const coordinate = Math.floor(rest / step);
      rest -= coordinate * step;
      if (axis >= lead && from[axis - lead] !== 1) at += coordinate * (strides[axis - lead] ?? 0);
    }
    return at;
  };
}

function isShape(sizes: readonly number[]): boolean {
  return sizes.length <= MAX_RANK && sizes.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** Axes from the attribute (older operator sets) or from input 1, normalized; null when out of range. */
function axesOf(node: Node, axes: Exact | undefined, rank: number): number[] | null {
  const listed = axes === undefined ? node.attribute('axes', 'ints') : [...axes.data];
  if (listed === undefined) return [];
  const normal = listed.map((axis) => normalizeAxis(axis, rank));
  return normal.every((axis) => axis !== undefined) ? normal : null;
}

/**
 * A reduction over the axes of a node.
 *
 * @param start    of every total.
 * @param combine  adds a number to a total.
 * @param finish   makes the result of a total of `count` numbers.
 */
export const reduction =
  (
    start: number,
    combine: (total: number, x: number) => number,
    finish: (total: number, count: number) => number = (total) => total,
  ): Evaluator =>
  ([x, axesInput], node) => {
    if (x === undefined || x.data.length === 0) return null;
    const listed = axesOf(node, axesInput, x.shape.length);
    if (listed === null) return null;
    if (listed.length === 0 && node.int('noop_with_empty_axes', 0) === 1) return x;
    const isReduced = x.shape.map((_, axis) => listed.length === 0 || listed.includes(axis));
    const kept = x.shape.map((size, axis) => (isReduced[axis] === true ? 1 : size));
    const totals = new Float64Array(elementCount(kept)).fill(start);
    const target = broadcastIndex(kept, x.shape);
    for (let i = 0; i < x.data.length; i++) {
      const at = target(i);
      totals[at] = combine(totals[at] ?? 0, x.data[i] ?? 0);
    }
    const count = x.data.length / totals.length;
    const shape = node.int('keepdims', 1) === 1 ? kept : x.shape.filter((_, axis) => isReduced[axis] !== true);
    return { ...x, shape, data: totals.map((total) => finish(total, count)) };
  };

const reshape: Evaluator = ([x, target], node) => {
  if (x === undefined || target === undefined) return null;
  const keepsZero = node.int('allowzero', 0) === 1;
  const shape = [...target.data].map((size, i) => (size === 0 && !keepsZero ? (x.shape[i] ?? 0) : size));
  const open = shape.indexOf(-1);
  if (open >= 0) shape[open] = x.data.length / -elementCount(shape);
  return isShape(shape) && elementCount(shape) === x.data.length ? { ...x, shape } : null;
};

const unsqueeze: Evaluator = ([x, axesInput], node) => {
  if (x === undefined) return null;
  const count = axesInput?.data.length ?? node.ints('axes', []).length;
  if (x.shape.length + count > MAX_RANK) return null;
  const axes = axesOf(node, axesInput, x.shape.length + count);
  if (axes === null || new Set(axes).size !== count) return null;
  const sizes = [...x.shape];
  const shape = Array.from({ length: x.shape.length + count }, (_, axis) =>
    axes.includes(axis) ? 1 : (sizes.shift() ?? 1),
  );
  return { ...x, shape };
};

const squeeze: Evaluator = ([x, axesInput], node) => {
  if (x === undefined) return null;
  const axes = axesOf(node, axesInput, x.shape.length);
  if (axes === null) return null;
  const all = axesInput === undefined && node.attribute('axes', 'ints') === undefined;
  const shape = x.shape.filter((size, axis) => !(all ? size === 1 : axes.includes(axis)));
  return elementCount(shape) === x.data.length ? { ...x, shape } : null;
};

const transpose: Evaluator = ([x], node) => {
  if (x === undefined) return null;
  const order = node.ints(
    'perm',
    Array.from(x.shape, (_, axis) => x.shape.length - 1 - axis),
  );
  if (order.length !== x.shape.length || !x.shape.every((_, axis) => order.includes(axis))) return null;
  const shape = order.map((axis) => x.shape[axis] ?? 1);
  const strides = rowMajorStrides(x.shape);
  const steps = order.map((axis) => strides[axis] ?? 0);
  const data = new Float64Array(x.data.length);
  const coordinates = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let i = 0; i < data.length; i++) {
    data[i] = x.data[from] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (coordinates[axis] ?? 0) + 1;
      from += steps[axis] ?? 0;
      coordinates[axis] = next;
      if (next < (shape[axis] ?? 1)) break;
      coordinates[axis] = 0;
      from -= next * (steps[axis] ?? 0);
    }
  }
  return { ...x, shape, data };
};

/** `TensorProto.DataType` numbers, as the attribute `to` of Cast holds them. */
const CAST_TARGETS: ReadonlyMap<number, Dtype> = new Map([
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
  [11, 'float64'],
]);

const cast: Evaluator = ([x], node) => {
  const dtype = CAST_TARGETS.get(node.int('to', 0));
  if (x === undefined || dtype === undefined) return null;
  if (dtype === x.dtype) return x;
  if (dtype === 'bool') return { ...x, dtype, data: x.data.map((value) => (value === 0 ? 0 : 1)) };
  if (isInteger(dtype)) return { ...x, dtype, data: x.data.map(Math.trunc) };
  // A narrowing cast is an operation of the model, not rounding of ours: it is kept.
  return { ...x, dtype, data: dtype === 'float32' ? x.data.map(Math.fround) : x.data };
};

const gather: Evaluator = ([x, indices], node, maxElements) => {
  if (x === undefined || indices === undefined) return null;
  const axis = normalizeAxis(node.int('axis', 0), x.shape.length);
  if (axis === undefined) return null;
  const size = x.shape[axis] ?? 1;
  const inner = elementCount(x.shape.slice(axis + 1));
  const outer = elementCount(x.shape.slice(0, axis));
  const count = indices.data.length;
  if (x.shape.length + indices.shape.length > MAX_RANK || outer * count * inner > maxElements) return null;
  const data = new Float64Array(outer * count * inner);
  for (let o = 0; o < outer; o++) {
    for (let k = 0; k < count; k++) {
      const index = normalizeAxis(indices.data[k] ?? 0, size);
      if (index === undefined) return null;
      const from = (o * size + index) * inner;
      data.set(x.data.subarray(from, from + inner), (o * count + k) * inner);
    }
  }
  return { ...x, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], data };
};

const concat: Evaluator = (inputs, node, maxElements) => {
  const [first] = inputs;
  if (first === undefined) return null;
  const axis = normalizeAxis(node.int('axis', 0), first.shape.length);
  if (axis === undefined) return null;
  const outer = elementCount(first.shape.slice(0, axis));
  const shape = first.shape.map((size, i) =>
    i === axis ? inputs.reduce((sum, x) => sum + (x.shape[axis] ?? 0), 0) : size,
  );
  const isFitting = inputs.every(
    (x) => x.shape.length === shape.length && shape.every((size, i) => i === axis || x.shape[i] === size),
  );
  if (!isFitting || elementCount(shape) > maxElements) return null;
  const data = new Float64Array(elementCount(shape));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const x of inputs) {
      const chunk = x.data.length / outer;
      data.set(x.data.subarray(o * chunk, (o + 1) * chunk), at);
      at += chunk;
    }
  }
  return { ...first, shape, data, fromSign: inputs.some(({ fromSign }) => fromSign) };
};

const constant: Evaluator = (_, node) => {
  const value = node.attribute('value', 'tensor');
  return value === undefined ? null : exactOf(value);
};

/** Evaluators by `Node.type`. */
export const EVALUATORS: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ['Abs', unary(Math.abs)],
  ['Neg', unary((x) => -x)],
  ['Sqrt', unary(Math.sqrt)],
  ['Identity', ([x]) => x ?? null],
  ['bnn.Sign', ([x]) => (x === undefined ? null : { ...x, data: x.data.map(signOf), fromSign: true })],
  ['Add', binary((a, b) => a + b)],
  ['Sub', binary((a, b) => a - b)],
  ['Mul', binary((a, b) => a * b)],
  ['Div', binary((a, b) => a / b, Math.trunc)],
  [
    'ReduceMean',
    reduction(
      0,
      (total, x) => total + x,
      (total, count) => total / count,
    ),
  ],
  ['Reshape', reshape],
  ['Unsqueeze', unsqueeze],
  ['Squeeze', squeeze],
  ['Transpose', transpose],
  ['Cast', cast],
  ['Gather', gather],
  ['Concat', concat],
  ['Constant', constant],
]);
