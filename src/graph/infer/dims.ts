/** Arithmetic on sizes of which some are only symbols (`"N"`) or unknown (null). */

import { BnnError } from '../../errors.ts';
import { formatShape } from '../format-type.ts';
import type { Dim, Node, Shape } from '../graph.ts';

/** The error of every shape rule: what was found, what the operator needs. */
export function mismatch(node: Node, found: string, expected: string): BnnError {
  return new BnnError('E_SHAPE', `${found}, expected ${expected}`, { at: node.describe() });
}

/** The product; a symbol survives only beside ones. */
export function multiplyDims(dims: readonly Dim[]): Dim {
  const { symbols, factor } = factorize(dims);
  if (factor === 0) return 0;
  if (symbols.length === 0) return factor;
  return symbols.length === 1 && factor === 1 ? (symbols[0] ?? null) : null;
}

/**
 * total / part where `part` divides `total`: symbols that occur in both cancel.
 *
 * @returns null when not known; undefined when the sizes are known and do not divide.
 */
export function divideDims(total: readonly Dim[], part: readonly Dim[]): Dim | undefined {
  const numerator = factorize(total);
  const left = [...numerator.symbols];
  const denominator = factorize(part);
  for (const symbol of denominator.symbols) {
    const at = symbol === null ? -1 : left.indexOf(symbol);
    if (at < 0) return null;
    left.splice(at, 1);
  }
  if (denominator.factor === 0) return null;
  const ratio = numerator.factor / denominator.factor;
  if (left.length === 0) return Number.isInteger(ratio) ? ratio : undefined;
  return left.length === 1 && ratio === 1 ? (left[0] ?? null) : null;
}

function factorize(dims: readonly Dim[]): { symbols: (string | null)[]; factor: number } {
  const symbols: (string | null)[] = [];
  let factor = 1;
  for (const dim of dims) {
    if (typeof dim === 'number') factor *= dim;
    else symbols.push(dim);
  }
  return { symbols, factor };
}

/** What two sizes that must be equal tell about each other; undefined when they are known to differ. */
export function unifyDims(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a === b ? a : undefined;
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  return a ?? b;
}

/** NumPy broadcasting of two sizes; undefined when they do not fit. */
export function broadcastDims(a: Dim, b: Dim): Dim | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === 'number' && typeof b === 'number') return undefined;
  // A known size above 1 decides: the other one is equal to it or 1.
  if (typeof a === 'number') return a;
  return typeof b === 'number' ? b : null;
}

/**
 * NumPy broadcasting of the shapes of a node's inputs; null when a rank is unknown.
 *
 * @throws {BnnError} E_SHAPE when they do not fit.
 */
export function broadcastAll(node: Node, shapes: readonly (Shape | null)[]): Shape | null {
  let result: Shape | null = [];
  for (const shape of shapes) {
    if (shape === null || result === null) {
      result = null;
      continue;
    }
    const before: Shape = result;
    const rank: number = Math.max(before.length, shape.length);
    result = Array.from({ length: rank }, (_, i) => {
      const dim = broadcastDims(fromEnd(before, rank, i), fromEnd(shape, rank, i));
      if (dim === undefined) {
        throw mismatch(node, `shapes ${shapes.map(formatShape).join(' and ')}`, 'shapes that broadcast');
      }
      return dim;
    });
  }
  return result;
}

/** The size at position i of a shape aligned to the right in `rank` positions; 1 where it has none. */
function fromEnd(shape: Shape, rank: number, i: number): Dim {
  const at = shape.length - rank + i;
  const dim = shape[at];
  return at < 0 || dim === undefined ? 1 : dim;
}
