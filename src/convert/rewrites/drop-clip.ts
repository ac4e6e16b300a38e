/**
 * Clipping around the threshold is no use in front of a sign or a comparison. (Tanh and the like stay: runtimes flush their
 * smallest results to 0.)
 */

import { defineRewrite, miss } from '../../compiler/rewrite.ts';
import type { Node } from '../../graph/graph.ts';
import { addOp, scalarOf } from '../add-op.ts';

function thresholdOf(root: Node): number | null {
  return root.is('Sign') || root.is('Sign', 'bnn') ? 0 : scalarOf(root.input(1));
}

export const DROP_CLIP = defineRewrite({
  name: 'drop-clip',
  doc: {
    before: 'Sign(Clip(x, low, high)); comparisons of Clip with a constant t likewise',
    after: 'Sign(x)',
    requires: 'low < t < high',
    exactness: 'bit-exact',
  },
  roots: ['Sign', 'bnn.Sign', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'],
  match: (root) => {
    const inner = root.requiredInput(0).producer;
    const threshold = thresholdOf(root);
    if (inner === null || threshold === null)
      return miss(root, 'it is no comparison of a computed value with a constant');
    const source = inner.requiredInput(0);
    if (!inner.is('Clip')) return miss(root, 'its data are not clipped');
    const low = inner.input(1) === null ? -Infinity : scalarOf(inner.input(1));
    const high = inner.input(2) === null ? Infinity : scalarOf(inner.input(2));
    if (low === null || high === null || !(low < threshold && threshold < high)) {
      return miss(inner, `it clips to ${low} … ${high}, which does not hold ${threshold} inside`);
    }
    return { source };
  },
  apply: (root, { source }, { graph }) =>
    addOp(graph, root.type, [source, ...root.inputs.slice(1)], root, { name: root.name }),
});
