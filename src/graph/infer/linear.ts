/** Shape rules: matrix products. */

import { formatShape } from '../format-type.ts';
import type { Dim, Node, Shape } from '../graph.ts';
import { broadcastAll, mismatch, unifyDims } from './dims.ts';
import { commonDtype, inputType, requireRank } from './node-facts.ts';
import type { InferRule } from './rule.ts';

/** a[M, K] · b[K, N] + c, each of a and b transposed on request; c broadcasts to [M, N]. */
const gemm: InferRule = (node) => {
  const dtype = commonDtype(node, [0, 1, 2]);
  const a = matrix(node, 0, node.int('transA', 0) !== 0);
  const b = matrix(node, 1, node.int('transB', 0) !== 0);
  requireEqualK(node, a[1], b[0]);
  const shape: Shape = [a[0], b[1]];
  const c = inputType(node, 2).shape;
  if (c !== null) {
    const sum = broadcastAll(node, [shape, c]);
    if (sum !== null && (sum.length > 2 || sum.some((dim, i) => shape[i] === 1 && dim !== 1))) {
      throw mismatch(node, `addend of shape ${formatShape(c)}`, `one that broadcasts to ${formatShape(shape)}`);
    }
  }
  return [{ dtype, shape }];
};

function matrix(node: Node, index: number, transposed: boolean): readonly [Dim, Dim] {
  const { shape } = inputType(node, index);
  requireRank(node, `input ${index}`, shape, 2);
  const [rows = null, columns = null] = shape ?? [];
  return transposed ? [columns, rows] : [rows, columns];
}

/** NumPy's matmul: a vector operand gets a dimension of 1 that is removed from the result. */
const matMul: InferRule = (node) => {
  const dtype = commonDtype(node, [0, 1]);
  const a = inputType(node, 0).shape;
  const b = inputType(node, 1).shape;
  if (a === null || b === null) return [{ dtype, shape: null }];
  if (a.length === 0 || b.length === 0) {
    throw mismatch(node, `shapes ${formatShape(a)} and ${formatShape(b)}`, 'at least 1 dimension each');
  }
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  requireEqualK(node, left.at(-1) ?? null, right.at(-2) ?? null);
  const batch = broadcastAll(node, [left.slice(0, -2), right.slice(0, -2)]) ?? [];
  const rows = a.length === 1 ? [] : [left.at(-2) ?? null];
  const columns = b.length === 1 ? [] : [right.at(-1) ?? null];
  return [{ dtype, shape: [...batch, ...rows, ...columns] }];
};

function requireEqualK(node: Node, a: Dim, b: Dim): void {
  if (unifyDims(a, b) === undefined) {
    const [x, y] = [formatShape(inputType(node, 0).shape), formatShape(inputType(node, 1).shape)];
    throw mismatch(node, `rows of ${a} elements times columns of ${b} (shapes ${x} and ${y})`, 'equal lengths');
  }
}

export interface EinsumEquation {
  /** A letter for each dimension of each operand; `...` stands for any number of them. */
  readonly operands: readonly string[];
  readonly result: string;
}

/** The equation of an Einsum; without an arrow, the result has the letters that appear once, in alphabetical order. */
export function einsumEquation(node: Node): EinsumEquation {
  const [left = '', right] = node.string('equation', '').replaceAll(/\s/g, '').split('->');
  const letters = [...left.replaceAll(/[^A-Za-z]/g, '')];
  const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).sort();
  const implied = (left.includes('...') ? '...' : '') + once.join('');
  return { operands: left.split(','), result: right ?? implied };
}

const ELLIPSIS = '...';

/** A label per dimension; those that an ellipsis stands for are numbered from the last one, since shapes are broadcast from there. */
function einsumLabels(letters: string, broadcastRank: number): string[] {
  const numbers = Array.from({ length: broadcastRank }, (_, i) => String(broadcastRank - 1 - i));
  const [before = '', after] = letters.split(ELLIPSIS);
  return after === undefined ? [...before] : [...before, ...numbers, ...after];
}

const einsum: InferRule = (node) => {
  const dtype = commonDtype(node, node.inputs.keys());
  const { operands, result } = einsumEquation(node);
  const sizes = new Map<string, Dim>();
  let broadcastRank = 0;
  for (const [i, letters] of operands.entries()) {
    const { shape } = inputType(node, i);
    const own = letters.includes(ELLIPSIS) ? (shape?.length ?? Number.NaN) - (letters.length - ELLIPSIS.length) : 0;
    // Of a rank that is not known, any number of dimensions may be broadcast.
    if (Number.isNaN(own)) return [{ dtype, shape: null }];
    const labels = einsumLabels(letters, Math.max(0, own));
    requireRank(node, `input ${i}`, shape, labels.length);
    broadcastRank = Math.max(broadcastRank, own);
    for (const [axis, label] of labels.entries()) {
      // A size of 1 is broadcast.
      const known = sizes.get(label) ?? 1;
      sizes.set(label, known === 1 ? (shape?.[axis] ?? null) : known);
    }
  }
  return [{ dtype, shape: einsumLabels(result, broadcastRank).map((label) => sizes.get(label) ?? null) }];
};

export const LINEAR_RULES: Readonly<Record<string, InferRule>> = { Einsum: einsum, Gemm: gemm, MatMul: matMul };
