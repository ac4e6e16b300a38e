/** Operators that move, select, repeat or make elements, in float64. */

import { elementCount, MAX_RANK, normalizeAxis, rowMajorStrides } from '../../core/tensors/shape.ts';
import { int64s, isDtype, type Tensor } from '../../core/tensors/tensor.ts';
import type { Node } from '../../graph/graph.ts';
import { broadcast, type Evaluator, walk } from './evaluator.ts';
import { type Exact, exactOf } from './exact.ts';

/** Axes from the attribute (older operator sets) or from input 1, normalized; null when out of range. */
export function listedAxes(node: Node, axes: Exact | undefined, rank: number): number[] | null {
  const listed = axes === undefined ? node.attribute('axes', 'ints') : [...axes.data];
  if (listed === undefined) return [];
  const normal = listed.map((axis) => normalizeAxis(axis, rank));
  return normal.every((axis) => axis !== undefined) ? normal : null;
}

function isShape(sizes: readonly number[]): boolean {
  return sizes.length <= MAX_RANK && sizes.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** The numbers of a tensor as a shape; null when they are none, or one of too many elements. */
function sizesOf({ data }: Exact, maxElements: number): number[] | null {
  const sizes = [...data.subarray(0, MAX_RANK + 1)];
  return isShape(sizes) && elementCount(sizes) <= maxElements ? sizes : null;
}

export const reshape: Evaluator = ([x, target], node) => {
  if (x === undefined || target === undefined) return null;
  const keepsZero = node.int('allowzero', 0) === 1;
  const shape = [...target.data].map((size, i) => (size === 0 && !keepsZero ? (x.shape[i] ?? 0) : size));
  const open = shape.indexOf(-1);
  if (open >= 0) shape[open] = x.data.length / -elementCount(shape);
  return isShape(shape) && elementCount(shape) === x.data.length ? { ...x, shape } : null;
};

export const flatten: Evaluator = ([x], node) => {
  if (x === undefined) return null;
  const axis = node.int('axis', 1);
  const at = axis === x.shape.length ? axis : normalizeAxis(axis, x.shape.length);
  if (at === undefined) return null;
  return { ...x, shape: [elementCount(x.shape.slice(0, at)), elementCount(x.shape.slice(at))] };
};

export const unsqueeze: Evaluator = ([x, axesInput], node) => {
  if (x === undefined) return null;
  const count = axesInput?.data.length ?? node.ints('axes', []).length;
  if (x.shape.length + count > MAX_RANK) return null;
  const axes = listedAxes(node, axesInput, x.shape.length + count);
  if (axes === null || new Set(axes).size !== count) return null;
  const sizes = [...x.shape];
  const shape = Array.from({ length: x.shape.length + count }, (_, axis) =>
    axes.includes(axis) ? 1 : (sizes.shift() ?? 1),
  );
  return { ...x, shape };
};

export const squeeze: Evaluator = ([x, axesInput], node) => {
  if (x === undefined) return null;
  const axes = listedAxes(node, axesInput, x.shape.length);
  if (axes === null) return null;
  const all = axesInput === undefined && node.attribute('axes', 'ints') === undefined;
  const shape = x.shape.filter((size, axis) => !(all ? size === 1 : axes.includes(axis)));
  return elementCount(shape) === x.data.length ? { ...x, shape } : null;
};

/** Of the element at `start` and those that strides lead to from there. */
function view(x: Exact, shape: readonly number[], strides: readonly number[], start = 0): Exact {
  const data = new Float64Array(elementCount(shape));
  walk(shape, [strides], (first, count, [at = 0], [step = 0]) => {
    for (let n = 0; n < count; n++) data[first + n] = x.data[start + at + n * step] ?? Number.NaN;
  });
  return { ...x, shape, data };
}

export const transpose: Evaluator = ([x], node) => {
  if (x === undefined) return null;
  const order = node.ints(
    'perm',
    Array.from(x.shape, (_, axis) => x.shape.length - 1 - axis),
  );
  if (order.length !== x.shape.length || !x.shape.every((_, axis) => order.includes(axis))) return null;
  const strides = rowMajorStrides(x.shape);
  return view(
    x,
    order.map((axis) => x.shape[axis] ?? 1),
    order.map((axis) => strides[axis] ?? 0),
  );
};

/** "To the end" is written as the largest integer, or the smallest, which float64 does not hold. */
function boundsOf(bounds: Tensor<'int64'>): Exact {
  const most = Number.MAX_SAFE_INTEGER;
  const data = Float64Array.from(bounds.data, (bound) => Math.min(Math.max(Number(bound), -most), most));
  return { dtype: 'int64', shape: bounds.shape, data };
}

/** The numbers of an input that is constant, for the evaluator of its node; null as `exactOf`. */
export function exactInput(node: Node, index: number, constant: Tensor): Exact | null {
  const isBound = node.is('Slice') && (index === 1 || index === 2);
  return isBound && isDtype(constant, 'int64') ? boundsOf(constant) : exactOf(constant);
}

/** Bounds beyond the tensor are clamped to it, as in NumPy. */
export const slice: Evaluator = ([x, starts, ends, axes, steps]) => {
  if (x === undefined || starts === undefined || ends === undefined || starts.data.length > x.shape.length) return null;
  const shape = [...x.shape];
  const strides = rowMajorStrides(x.shape);
  let start = 0;
  for (const [i, first] of starts.data.entries()) {
    const axis = normalizeAxis(axes?.data[i] ?? i, shape.length);
    const [end, step] = [ends.data[i], steps?.data[i] ?? 1];
    if (axis === undefined || end === undefined || step === 0) return null;
    const size = shape[axis] ?? 1;
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + size : at, low), high);
    const begin = clamp(first);
    shape[axis] = Math.max(0, Math.ceil((clamp(end) - begin) / step));
    start += begin * (strides[axis] ?? 0);
    strides[axis] = (strides[axis] ?? 0) * step;
  }
  return view(x, shape, strides, start);
};

export const gather: Evaluator = ([x, indices], node, maxElements) => {
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

export const concat: Evaluator = (inputs, node, maxElements) => {
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
  return { ...first, shape, data };
};

export const expand: Evaluator = ([x, target], _, maxElements) => {
  const shape = target === undefined ? null : sizesOf(target, maxElements);
  if (x === undefined || shape === null) return null;
  const like = { dtype: x.dtype, shape, data: new Float64Array(1) };
  return broadcast([x, like], x.dtype, maxElements, (a = Number.NaN) => a);
};

export const constantOfShape: Evaluator = ([shape], node, maxElements) => {
  const sizes = shape === undefined ? null : sizesOf(shape, maxElements);
  if (sizes === null) return null;
  const fill = node.attribute('value', 'tensor');
  const value = fill === undefined ? null : exactOf(fill);
  if (fill !== undefined && value === null) return null;
  const data = new Float64Array(elementCount(sizes)).fill(value?.data[0] ?? 0);
  return { dtype: value?.dtype ?? 'float32', shape: sizes, data };
};

export const constant: Evaluator = (_, node) => {
  const value = node.attribute('value', 'tensor');
  return value === undefined ? null : exactOf(value);
};

/** The sizes that a Shape node gives for a shape, where all that it selects are fixed; null otherwise. */
export function selectedSizes(node: Node, shape: readonly unknown[] | null): Exact | null {
  const sizes = shape?.slice(node.int('start', 0), node.attribute('end', 'int'));
  return sizes?.every((size) => typeof size === 'number') === true ? exactOf(int64s(sizes as number[])) : null;
}

export const shapeOf: Evaluator = ([x], node) => (x === undefined ? null : selectedSizes(node, x.shape));
