/** A binary weight on the left of a stack of matrices changes sides. */

import { type Attributes, ints } from '../../../graph/attribute.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { binaryWeightsOf } from '../../../rewriting/layers/binary-weights.ts';
import { defineRewrite, isMiss, miss } from '../../../rewriting/rewrite.ts';
import { SWAP } from './swap-axes.ts';

/** The order of axes that swaps the last two of so many. */
function swapLast(rank: number): Attributes {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return { perm: ints([...axes.slice(0, -2), rank - 1, rank - 2]) };
}

export const SWAP_STACK = defineRewrite({
  name: 'swap-stack',
  doc: {
    before: 'MatMul(W, x), x of rank 3 or more',
    after: 'Transpose(MatMul(Transpose(x), Transpose(W)))',
    requires: 'binary W of rank 2',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [w, x] = [root.requiredInput(0), root.requiredInput(1)];
    if (!context.isConstantExpression(w) || context.isConstantExpression(x))
      return miss(root, 'its left operand is not its weight');
    const rank = x.shape?.length ?? 0;
    if (w.shape?.length !== 2 || rank < 3) return miss(root, 'its data are no stack of matrices');
    const found = binaryWeightsOf(w, root, true, false, context);
    return isMiss(found) ? found : { w, x, rank };
  },
  apply: (root, { w, x, rank }, context) => {
    const { graph } = context;
    const rows = addOp(graph, 'Transpose', [x], root, { attributes: swapLast(rank) });
    const weight = addOp(graph, 'Transpose', [w], root, { attributes: SWAP });
    const y = addLayer(root, 'MatMul', [rows, weight], {}, context);
    return addOp(graph, 'Transpose', [y], root, { attributes: swapLast(rank) });
  },
});
