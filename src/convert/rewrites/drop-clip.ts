/**
 * Clipping around the threshold is no use in front of a sign or a comparison. (Tanh and the like stay: runtimes flush their
 * smallest results to 0.)
 */

import { scalar } from '../../core/tensor.ts';
import { int } from '../../graph/attribute.ts';
import { DTYPE_CODES } from '../../graph/dtype-code.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { addOp, scalarOf } from '../../rewriting/add-op.ts';
import { isMiss, type Miss, miss } from '../../rewriting/miss.ts';
import { defineRewrite } from '../../rewriting/rewrite.ts';

function thresholdOf(root: Node): number | null {
  return root.is('Sign') || root.is('Sign', 'bnn') ? 0 : scalarOf(root.input(1));
}

interface Clipped {
  readonly source: Value;
  readonly low: number;
  readonly high: number;
}

/** What a Clip or a Relu clips, and to what. */
function clipped(root: Node): Clipped | Miss {
  const inner = root.requiredInput(0).producer;
  if (inner?.is('Relu') === true) return { source: inner.requiredInput(0), low: 0, high: Infinity };
  if (inner?.is('Clip') !== true) return miss(root, 'its data are not clipped');
  const low = inner.input(1) === null ? -Infinity : scalarOf(inner.input(1));
  const high = inner.input(2) === null ? Infinity : scalarOf(inner.input(2));
  if (low === null || high === null || !(low < high)) return miss(inner, 'its bounds are no constants in order');
  return { source: inner.requiredInput(0), low, high };
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

export const SIGN_OF_POSITIVE = defineRewrite({
  name: 'sign-of-positive',
  doc: {
    before: 'Sign(Relu(x)), Sign(Clip(x, 0, high))',
    after: 'Cast(x > 0)',
    requires: 'high > 0',
    exactness: 'bit-exact',
  },
  roots: ['Sign'],
  match: (root) => {
    if (root.output.dtype !== 'float32') return miss(root, 'it is not of float32');
    const found = clipped(root);
    if (isMiss(found)) return found;
    return found.low === 0 ? found : miss(root, `its data are clipped to ${found.low} … ${found.high}`);
  },
  apply: (root, { source }, { graph }) => {
    const zero = graph.addConstant(`${root.output.name}.zero`, scalar(0));
    const isPositive = addOp(graph, 'Greater', [source, zero], root);
    return addOp(graph, 'Cast', [isPositive], root, {
      attributes: { to: int(DTYPE_CODES.float32) },
      name: root.name,
    });
  },
});
