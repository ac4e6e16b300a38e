/**
 * Clipping around the threshold is no use in front of a sign or a comparison. (Tanh and the like stay: runtimes flush their
 * smallest results to 0.)
 */

import type { Node } from '../../../graph/graph.ts';
import { addOp, scalarOf } from '../../../rewriting/add-op.ts';
import { defineRewrite, isMiss, miss } from '../../../rewriting/rewrite.ts';
import { clipped } from './clipped.ts';

function thresholdOf(root: Node): number | null {
  return root.is('Sign') || root.is('Sign', 'bnn') ? 0 : scalarOf(root.input(1));
}

/** Comparisons that a value clipped to the threshold answers as one beyond it. */
const HOLDS_AT_LOW = new Set(['Greater', 'LessOrEqual']);

const HOLDS_AT_HIGH = new Set(['GreaterOrEqual', 'Less', 'bnn.Sign']);

export const DROP_CLIP = defineRewrite({
  name: 'drop-clip',
  doc: {
    before: 'Sign(Clip(x, low, high)); comparisons of Clip or Relu with a constant t likewise',
    after: 'Sign(x)',
    requires: 'low < t < high; or t = low for > and ≤, t = high for ≥ and <',
    exactness: 'bit-exact',
  },
  roots: ['Sign', 'bnn.Sign', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'],
  match: (root) => {
    const threshold = thresholdOf(root);
    if (threshold === null) return miss(root, 'it is no comparison with a constant');
    const found = clipped(root);
    if (isMiss(found)) return found;
    const { source, low, high } = found;
    const isAbove = low < threshold || (low === threshold && HOLDS_AT_LOW.has(root.type));
    const isBelow = threshold < high || (threshold === high && HOLDS_AT_HIGH.has(root.type));
    if (!isAbove || !isBelow) {
      return miss(root, `its data are clipped to ${low} … ${high}, which does not hold ${threshold} inside`);
    }
    return { source };
  },
  apply: (root, { source }, { graph }) =>
    addOp(graph, root.type, [source, ...root.inputs.slice(1)], root, { name: root.name }),
});
