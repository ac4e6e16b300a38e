/** A weight with leading sizes of 1 becomes a matrix. */

import { int64s } from '../../../core/tensors/tensor.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';

export const SQUEEZE_WEIGHT = defineRewrite({
  name: 'squeeze-weight',
  doc: {
    before: 'MatMul(x, W[1, …, K, N])',
    after: 'MatMul(x, Reshape(W, [K, N]))',
    requires: 'constant W of no higher rank than x; the other sizes 1',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [x, w] = [root.requiredInput(0), root.requiredInput(1)];
    const sizes = w.shape?.slice(-2) ?? [];
    const outer = w.shape?.slice(0, -2) ?? [];
    if (!context.isConstantExpression(w)) return miss(root, 'its weight {} is not constant', w);
    if (outer.length === 0 || outer.some((size) => size !== 1) || (x.shape?.length ?? 0) < outer.length + 2)
      return miss(root, 'its weight is no matrix in a higher rank');
    return { x, w, sizes: sizes.map(Number) };
  },
  apply: (root, { x, w, sizes }, context) => {
    const { graph } = context;
    const matrix = addOp(graph, 'Reshape', [w, graph.addConstant(`${w.name}.shape`, int64s(sizes))], root);
    return addLayer(root, 'MatMul', [x, matrix], {}, context);
  },
});
