/** Shape rules: the same elements under another shape or in another order. */

import { formatShape } from '../format-type.ts';
import type { Dim } from '../graph.ts';
import { broadcastAll, divideDims, mismatch, multiplyDims } from './dims.ts';
import { attributeOrInput, axisOf, constantInts, inputType, lengthOf, unknownShape } from './node-facts.ts';
import type { InferRule } from './rule.ts';

/** Two dimensions: those before `axis`, and the rest. */
const flatten: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  if (x === null) return [{ dtype, shape: [null, null] }];
  const axis = node.int('axis', 1);
  // Here the rank itself is a valid axis.
  const split = axis === x.length ? axis : axisOf(node, axis, x.length);
  return [{ dtype, shape: [multiplyDims(x.slice(0, split)), multiplyDims(x.slice(split))] }];
};

/** In the target, 0 copies the input's size (unless `allowzero`) and one −1 takes what is left. */
const reshape: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const target = attributeOrInput(node, 'shape', 1);
  if (target === null || target === undefined) return [{ dtype, shape: unknownShape(lengthOf(node.input(1))) }];
  const copies = node.int('allowzero', 0) === 0;
  const dims = target.map((size, axis): Dim => {
    if (size !== 0 || !copies) return size;
    if (x !== null && axis >= x.length) {
      throw mismatch(node, `a 0 at position ${axis} of shape ${formatShape(target)}`, `an axis of ${formatShape(x)}`);
    }
    return x?.[axis] ?? null;
  });
  const wildcard = target.indexOf(-1);
  if (target.indexOf(-1, wildcard + 1) > wildcard && wildcard >= 0) {
    throw mismatch(node, `shape ${formatShape(target)}`, 'at most one -1');
  }
  const rest = dims.filter((_, axis) => axis !== wildcard);
  const left = x === null ? null : divideDims(x, rest);
  const impossible =
    wildcard >= 0 ? left === undefined : left === undefined || (typeof left === 'number' && left !== 1);
  if (impossible) {
    throw mismatch(node, `input of shape ${formatShape(x)}`, `as many elements as ${formatShape(target)} asks for`);
  }
  return [{ dtype, shape: dims.map((dim, axis) => (axis === wildcard ? (left ?? null) : dim)) }];
};

/** `perm` is a permutation; by default the order is reversed. */
const transpose: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const perm = node.attribute('perm', 'ints') ?? x?.map((_, axis) => x.length - 1 - axis);
  if (perm === undefined) return [{ dtype, shape: null }];
  if (x === null) return [{ dtype, shape: unknownShape(perm.length) }];
  const sorted = [...perm].sort((a, b) => a - b);
  if (perm.length !== x.length || sorted.some((axis, i) => axis !== i)) {
    throw mismatch(node, `perm ${formatShape(perm)}`, `a permutation of ${x.length} axes`);
  }
  return [{ dtype, shape: perm.map((axis) => x[axis] ?? null) }];
};

/** Axes are an attribute until opset 12, an input since; without them every size of 1 goes. */
const squeeze: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const axes = attributeOrInput(node, 'axes', 1);
  if (x === null || axes === null) return [{ dtype, shape: null }];
  if (axes === undefined) {
    // An unknown size may be 1, so then not even the rank is known.
    return [{ dtype, shape: x.every((dim) => typeof dim === 'number') ? x.filter((dim) => dim !== 1) : null }];
  }
  const gone = new Set(axes.map((axis) => axisOf(node, axis, x.length)));
  for (const axis of gone) {
    const dim = x[axis];
    if (typeof dim === 'number' && dim !== 1) throw mismatch(node, `size ${dim} along axis ${axis}`, '1');
  }
  return [{ dtype, shape: x.filter((_, axis) => !gone.has(axis)) }];
};

/** Axes count in the output. */
const unsqueeze: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const axes = attributeOrInput(node, 'axes', 1);
  if (axes === null || axes === undefined || x === null) return [{ dtype, shape: null }];
  const rank = x.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(node, axis, rank)));
  if (added.size !== axes.length) throw mismatch(node, `axes ${formatShape(axes)}`, 'each axis once');
  const old = x.values();
  const shape = Array.from({ length: rank }, (_, axis): Dim => (added.has(axis) ? 1 : (old.next().value ?? null)));
  return [{ dtype, shape }];
};

/** Blocks of pixels become channels; image sizes must be multiples of the block's. */
const spaceToDepth: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const size = node.int('blocksize', 1);
  if (x === null) return [{ dtype, shape: unknownShape(4) }];
  const [n = null, c = null, ...image] = x;
  if (x.length !== 4 || image.some((dim) => typeof dim === 'number' && dim % size !== 0)) {
    throw mismatch(node, `input of shape ${formatShape(x)}`, `four dimensions, the image in blocks of ${size}×${size}`);
  }
  const blocks = image.map((dim) => (typeof dim === 'number' ? dim / size : null));
  return [{ dtype, shape: [n, typeof c === 'number' ? c * size * size : null, ...blocks] }];
};

const expand: InferRule = (node) => {
  const { dtype, shape: x } = inputType(node, 0);
  const target = constantInts(node.input(1));
  if (target === null || x === null) {
    const length = lengthOf(node.input(1));
    return [{ dtype, shape: x === null || length === null ? null : unknownShape(Math.max(x.length, length)) }];
  }
  return [{ dtype, shape: broadcastAll(node, [x, target]) }];
};

export const REARRANGE_RULES: Readonly<Record<string, InferRule>> = {
  Flatten: flatten,
  Reshape: reshape,
  Transpose: transpose,
  SpaceToDepth: spaceToDepth,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Expand: expand,
};
