/** One form for dense layers. */

import { addLayer } from '../add-layer.ts';
import { defineRewrite, miss } from '../rewrite.ts';

/** Of those that both operators take, what onnxruntime has a Gemm of: MatMul has integers too. */
const FLOATS: ReadonlySet<string> = new Set(['float32', 'float64', 'float16']);

export const MATMUL_TO_GEMM = defineRewrite({
  name: 'matmul-to-gemm',
  doc: {
    before: 'MatMul(x, W)',
    after: 'Gemm(x, W)',
    requires: 'both matrices (rank 2) of floats; W a constant expression',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [x, w] = [root.requiredInput(0), root.requiredInput(1)];
    if (x.shape?.length !== 2 || w.shape?.length !== 2) return miss(root, 'its operands are not known to be matrices');
    if (!context.isConstantExpression(w)) return miss(root, 'its weight {} is not constant', w);
    const dtype = w.dtype ?? x.dtype ?? 'unknown';
    if (!FLOATS.has(dtype)) return miss(root, `its weight {} is ${dtype}, expected a float type`, w);
    return { x, w };
  },
  apply: (root, { x, w }, context) => {
    return addLayer(root, 'Gemm', [x, w], {}, context);
  },
});
