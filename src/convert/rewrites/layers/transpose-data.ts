import { type Attributes, int } from '../../../graph/attribute.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { binaryWeightsOf } from '../../../rewriting/layers/binary-weights.ts';
import { defineRewrite, isMiss, miss } from '../../../rewriting/rewrite.ts';
import { SWAP } from './swap-axes.ts';

export const TRANSPOSE_DATA = defineRewrite({
  name: 'transpose-data',
  doc: {
    before: 'Gemm(x, W, C) with transA',
    after: 'Gemm(Transpose(x), W, C)',
    requires: 'binary W',
    exactness: 'bit-exact',
  },
  roots: ['Gemm'],
  match: (root, context) => {
    if (root.int('transA', 0) === 0) return miss(root, 'its data are not transposed');
    const found = binaryWeightsOf(root.requiredInput(1), root, true, root.int('transB', 0) === 0, context);
    return isMiss(found) ? found : { data: root.requiredInput(0) };
  },
  apply: (root, { data }, context) => {
    const rows = addOp(context.graph, 'Transpose', [data], root, { attributes: SWAP });
    const attributes: Attributes = { ...root.attributes, transA: int(0) };
    return addLayer(root, 'Gemm', [rows, ...root.inputs.slice(1)], attributes, context);
  },
});
