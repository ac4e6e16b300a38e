/** Shape rules: taking parts of tensors, joining and repeating them. */

import { formatShape } from '../format-type.ts';
import type { Dim, Node, Shape } from '../graph.ts';
import { mismatch, multiplyDims, unifyDims } from './dims.ts';
import {
  attributeOrInput,
  axisOf,
  commonDtype,
  constantInts,
  inputType,
  lengthOf,
  unknownShape,
} from './node-facts.ts';
import type { InferRule } from './rule.ts';

const concat: InferRule = (node) => {
  const dtype = commonDtype(node, node.inputs.keys());
  const shapes = node.inputs.map((x) => x?.shape ?? null);
  const known = shapes.filter((shape) => shape !== null);
  const [first] = known;
  if (first === undefined) return [{ dtype, shape: null }];
  const axis = axisOf(node, node.int('axis', 1), first.length);
  const shape = first.map((dim, i): Dim => {
    if (i === axis) return known.length === shapes.length ? addDims(known.map((s) => s[axis] ?? null)) : null;
    return known.reduce((common: Dim, s) => {
      const both = s.length === first.length ? unifyDims(common, s[i] ?? null) : undefined;
      if (both === undefined) {
        throw mismatch(node, `shapes ${shapes.map(formatShape).join(', ')}`, `equal sizes but along axis ${axis}`);
      }
      return both;
    }, dim);
  });
  return [{ dtype, shape }];
};

function addDims(dims: readonly Dim[]): Dim {
  let sum = 0;
  for (const dim of dims) {
    if (typeof dim !== 'number') return dims.length === 1 ? dim : null;
    sum += dim;
  }
  return sum;
}

/** `starts`, `ends`, `axes` are attributes until opset 9; inputs, with `steps`, since. */
const slice: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  if (x === null) return [{ dtype, shape: null }];
  const starts = attributeOrInput(node, 'starts', 1);
  const ends = attributeOrInput(node, 'ends', 2);
  const axes = attributeOrInput(node, 'axes', 3);
  const steps = attributeOrInput(node, 'steps', 4);
  if (axes === null) return [{ dtype, shape: unknownShape(x.length) }];
  const shape: Dim[] = [...x];
  const positions = axes ?? Array.from({ length: starts?.length ?? lengthOf(node.input(1)) ?? 0 }, (_, i) => i);
  for (const [i, raw] of positions.entries()) {
    const axis = axisOf(node, raw, x.length);
    const [start, end, step] = [starts?.[i], ends?.[i], steps === null ? undefined : (steps?.[i] ?? 1)];
    const known = start !== undefined && end !== undefined && step !== undefined;
    shape[axis] = known ? sliceSize(node, x[axis] ?? null, start, end, step) : null;
  }
  return [{ dtype, shape }];
};

/** Ends beyond the tensor are clamped to it, as in NumPy. */
function sliceSize(node: Node, size: Dim, start: number, end: number, step: number): Dim {
  if (step === 0) throw mismatch(node, 'a step of 0', 'another step');
  // ONNX writes "to the end" as the largest integer.
  if (typeof size !== 'number') return start === 0 && step === 1 && end >= 2 ** 31 - 1 ? size : null;
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const clamp = (position: number): number => Math.min(Math.max(position, low), high);
  const begin = clamp(start < 0 ? start + size : start);
  const stop = clamp(end < 0 ? end + size : end);
  return Math.max(0, Math.ceil((stop - begin) / step));
}

/** `pads` is an attribute until opset 10, an input (with `axes` since 18) later: sizes before, then sizes after. */
const pad: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const pads = attributeOrInput(node, 'pads', 1);
  const axes = constantInts(node.input(3));
  if (x === null || pads === null || pads === undefined || (node.input(3) !== null && axes === null)) {
    return [{ dtype, shape: unknownShape(x?.length ?? null) }];
  }
  const positions = axes?.map((axis) => axisOf(node, axis, x.length)) ?? [...x.keys()];
  if (pads.length !== 2 * positions.length) {
    throw mismatch(node, `${pads.length} pads`, `${2 * positions.length} for ${positions.length} axes`);
  }
  const shape: Dim[] = [...x];
  for (const [i, axis] of positions.entries()) {
    const extra = (pads[i] ?? 0) + (pads[positions.length + i] ?? 0);
    const dim = x[axis] ?? null;
    if (typeof dim === 'number') shape[axis] = dim + extra;
    else if (extra !== 0) shape[axis] = null;
    const size = shape[axis];
    if (typeof size === 'number' && size < 0) {
      throw mismatch(node, `pads that remove ${-extra} of ${dim} along axis ${axis}`, 'a size of at least 0');
    }
  }
  return [{ dtype, shape }];
};

const gather: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const { shape: indices } = inputType(node, 1);
  if (x === null || indices === null) return [{ dtype, shape: null }];
  const axis = axisOf(node, node.int('axis', 0), x.length);
  return [{ dtype, shape: [...x.slice(0, axis), ...indices, ...x.slice(axis + 1)] }];
};

const tile: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const repeats = constantInts(node.input(1));
  if (x === null || repeats === null) return [{ dtype, shape: unknownShape(x?.length ?? lengthOf(node.input(1))) }];
  if (repeats.length !== x.length) throw mismatch(node, `${repeats.length} repeats`, `${x.length}, one per dimension`);
  return [{ dtype, shape: x.map((dim, axis) => multiplyDims([dim, repeats[axis] ?? null])) }];
};

/** Sizes are the attribute `split` until opset 12, an input since; without them the parts are equal, the last may be smaller. */
const split: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const sizes = attributeOrInput(node, 'split', 1);
  const count = node.outputs.length;
  if (x === null) return node.outputs.map(() => ({ dtype, shape: null }));
  const axis = axisOf(node, node.int('axis', 0), x.length);
  const total = x[axis];
  if (sizes != null) {
    const sum = sizes.reduce((a, b) => a + b, 0);
    if (sizes.length !== count || (typeof total === 'number' && sum !== total)) {
      throw mismatch(node, `parts ${formatShape(sizes)}`, `${count} that add up to ${total}`);
    }
  }
  const part = (i: number): Dim => {
    if (sizes !== undefined) return sizes?.[i] ?? null;
    if (typeof total !== 'number') return count === 1 ? (total ?? null) : null;
    const size = Math.ceil(total / count);
    return Math.max(0, Math.min(size, total - i * size));
  };
  return node.outputs.map((_, i) => ({ dtype, shape: replaceDim(x, axis, part(i)) }));
};

function replaceDim(shape: Shape, axis: number, dim: Dim): Shape {
  return shape.map((old, i) => (i === axis ? dim : old));
}

export const SELECTION_RULES: Readonly<Record<string, InferRule>> = {
  Concat: concat,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  Tile: tile,
  Split: split,
};
