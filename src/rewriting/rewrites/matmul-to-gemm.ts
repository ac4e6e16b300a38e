/** One form for dense layers. */

import { addLayer } from '../add-layer.ts';
import { defineRewrite, miss } from '../rewrite.ts';

export const MATMUL_TO_GEMM = defineRewrite({
  name: 'matmul-to-gemm',
  doc: {
    before: 'MatMul(x, W)',
    after: 'Gemm(x, W)',
    requires: 'both matrices (rank 2); W a constant expression',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [x, w] = [root.requiredInput(0), root.requiredInput(1)];
    if (x.shape?.length !== 2 || w.shape?.length !== 2) return miss(root, 'its operands are not known to be matrices');
    if (!context.isConstantExpression(w)) return miss(root, 'its weight {} is not constant', w);
    return { x, w };
  },
  apply: (root, { x, w }, context) => {
    return addLayer(root, 'Gemm', [x, w], {}, context);
  },
});
