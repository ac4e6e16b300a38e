/**
 * A comparison with thresholds per channel, or with another tensor, becomes one with 0.
 *
 *     before   x ≥ T
 *     after    x − T ≥ 0
 *
 * Math     float subtraction with gradual underflow is 0 only for equal operands and otherwise keeps the sign.
 */

import { scalar } from '../../../core/tensors/tensor.ts';
import { addOp, scalarOf } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';

export const COMPARE_WITH_ZERO = defineRewrite({
  name: 'compare-with-zero',
  doc: {
    before: 'x ≥ T (also >, ≤, <)',
    after: 'x − T ≥ 0',
    requires: 'float32; T no single number',
    exactness: 'bit-exact for finite numbers',
  },
  roots: ['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'],
  match: (root) => {
    const [x, y] = [root.requiredInput(0), root.requiredInput(1)];
    if (x.dtype !== 'float32' || y.dtype !== 'float32') return miss(root, 'it does not compare float32');
    if (scalarOf(x) !== null || scalarOf(y) !== null) return miss(root, 'it compares with one number');
    return { x, y };
  },
  apply: (root, { x, y }, { graph }) => {
    const difference = addOp(graph, 'Sub', [x, y], root);
    return addOp(graph, root.op, [difference, graph.addConstant(`${root.output.name}.zero`, scalar(0))], root, {
      name: root.name,
    });
  },
});
