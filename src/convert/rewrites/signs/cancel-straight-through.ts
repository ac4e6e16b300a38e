/**
 * What is left in a graph of a straight-through estimator: b is there for its gradient only.
 *
 *     before   (a − b) + b, b + (a − b) or (a + b) − b
 *     after    a
 */

import type { Dim, Node, Value } from '../../../graph/graph.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { affineSignsOf } from '../../signs/affine-signs.ts';
import { findStep } from '../../signs/find-step.ts';

function binarized(value: Value, context: RewriteContext): boolean {
  if (context.isConstantExpression(value)) return context.hasSign(value) || findStep(value) !== null;
  return findStep(value) !== null || affineSignsOf(value) !== null;
}

/** a of a − b (also written a + (−b)), for a given b. */
function minuend(node: Node | null, b: Value): Value | null {
  if (node?.is('Sub') === true) return node.input(1) === b ? node.input(0) : null;
  if (node?.is('Add') !== true) return null;
  const isNegative = (value: Value | null) => value?.producer?.is('Neg') === true && value.producer.input(0) === b;
  if (isNegative(node.input(1))) return node.input(0);
  return isNegative(node.input(0)) ? node.input(1) : null;
}

/** a of a + b, for a given b. */
function addend(node: Node | null, b: Value): Value | null {
  if (node?.is('Add') !== true) return null;
  if (node.input(1) === b) return node.input(0);
  return node.input(0) === b ? node.input(1) : null;
}

/** Whether b, which cancels, leaves a as it is instead of repeating it along a dimension. Sizes that are open in both are the same. */
function hasShapeOf(a: Value, result: Value): boolean {
  const [from, to] = [a.shape, result.shape];
  if (from === null || to === null) return from === to;
  const isOpen = (size: Dim | undefined): boolean => typeof size !== 'number';
  return from.length === to.length && from.every((size, i) => size === to[i] || (isOpen(size) && isOpen(to[i])));
}

export const CANCEL_STRAIGHT_THROUGH = defineRewrite({
  name: 'cancel-straight-through',
  doc: {
    before: '(a − b) + b, b + (a − b), b + (−b + a) or (a + b) − b',
    after: 'a',
    requires: 'a is binarized and has the shape of the result',
    exactness: 'up to the rounding of the detour, 1 unit in the last place of ±1',
  },
  tell: () => 'the detour of a straight-through estimator, (a − b) + b, is left out: it rounds ±1 in the last place',
  roots: ['Add', 'Sub'],
  match: (root, context): { readonly a: Value } | Miss => {
    const [x, y] = [root.requiredInput(0), root.requiredInput(1)];
    const a = root.is('Add') ? (minuend(x.producer, y) ?? minuend(y.producer, x)) : addend(x.producer, y);
    if (a === null) return miss(root, 'nothing cancels');
    if (!binarized(a, context)) return miss(root, 'what remains is not binarized');
    if (!hasShapeOf(a, root.output)) return miss(root, 'what cancels gives it another shape');
    if (root.output.isOutput() && a.producer === null) return miss(root, 'it names a graph output');
    return { a };
  },
  apply: (_, { a }) => a,
});
