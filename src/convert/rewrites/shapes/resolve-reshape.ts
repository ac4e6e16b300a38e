/** Shapes that a model computes from its input (Shape, Gather, Concat, Reshape) become constants, also when the batch size is open. */

import { int64s } from '../../../core/tensors/tensor.ts';
import type { Value } from '../../../graph/graph.ts';
import { addOp, numbersOf } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';

/** A size, or a key that is equal for equal unknown sizes. */
type Size = number | string;

function sizesOfShape(value: Value): Size[] | null {
  return value.shape?.map((dim, axis) => (typeof dim === 'number' ? dim : sizeKey(value, axis))) ?? null;
}

function sizeKey(value: Value, axis: number): string {
  const dim = value.shape?.[axis];
  return typeof dim === 'string' ? `symbol ${dim}` : `${axis} of ${value.name}`;
}

/** The elements of an integer vector, as far as they are known. */
function sizesOf(value: Value | null, depth = 0): (Size | null)[] | null {
  if (value === null || depth > 32) return null;
  const constant = numbersOf(value);
  if (constant !== null) return [...constant];
  const node = value.producer;
  if (node === null) return null;
  const first = node.input(0);
  switch (node.type) {
    case 'Shape': {
      const all = first === null ? null : sizesOfShape(first);
      return all?.slice(node.int('start', 0), node.attribute('end', 'int')) ?? null;
    }
    case 'Cast':
    case 'Identity':
    case 'Unsqueeze':
    case 'Squeeze':
    case 'Reshape':
      return sizesOf(first, depth + 1);
    case 'Gather': {
      const all = sizesOf(first, depth + 1);
      const indices = numbersOf(node.input(1));
      if (all === null || indices === null) return null;
      return indices.map((index) => all.at(index) ?? null);
    }
    case 'Slice': {
      const all = sizesOf(first, depth + 1);
      const [start, end] = [numbersOf(node.input(1))?.[0], numbersOf(node.input(2))?.[0]];
      const step = node.input(4) === null ? 1 : numbersOf(node.input(4))?.[0];
      return start === undefined || end === undefined || step !== 1 ? null : (all?.slice(start, end) ?? null);
    }
    case 'Concat': {
      const parts = node.inputs.map((input) => sizesOf(input, depth + 1));
      return parts.some((part) => part === null) ? null : parts.flatMap((part) => part ?? []);
    }
    case 'Mul': {
      const [a, b] = [sizesOf(first, depth + 1), sizesOf(node.input(1), depth + 1)];
      if (a?.length !== 1 || b?.length !== 1) return null;
      const [x, y] = [a[0], b[0]];
      return [typeof x === 'number' && typeof y === 'number' ? x * y : null];
    }
    default:
      return null;
  }
}

export const RESOLVE_RESHAPE = defineRewrite({
  name: 'resolve-reshape',
  doc: {
    before: 'Reshape(x, shape computed from shapes)',
    after: 'Reshape(x, constant), with 0 for a size that is kept and at most one -1',
    requires: 'at most one size is neither known nor kept',
    exactness: 'bit-exact',
  },
  roots: ['Reshape'],
  match: (root) => {
    const x = root.requiredInput(0);
    const shape = root.requiredInput(1);
    if (shape.constant !== null) return miss(root, 'its shape is constant');
    const sizes = sizesOf(shape);
    if (sizes === null || root.int('allowzero', 0) !== 0)
      return miss(root, 'its shape is not computed from shapes alone');
    const target = sizes.map((size, i) => {
      if (typeof size === 'number') return size;
      return size !== null && x.shape !== null && i < x.shape.length && size === sizeKey(x, i) ? 0 : -1;
    });
    if (target.filter((size) => size === -1).length > 1) return miss(root, 'several of its sizes are unknown');
    return { x, target };
  },
  apply: (root, { x, target }, { graph }) => {
    const shape = graph.addConstant(`${root.output.name}.shape`, int64s(target));
    return addOp(graph, 'Reshape', [x, shape], root, { name: root.name });
  },
});
