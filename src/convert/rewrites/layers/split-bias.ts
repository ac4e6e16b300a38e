/** A bias that is not one number per output becomes a sum behind the layer. */

import { scalar } from '../../../core/tensors/tensor.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { binaryWeightsOf } from '../../../rewriting/layers/binary-weights.ts';
import { channelVector } from '../../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../../rewriting/rewrite.ts';

export const SPLIT_BIAS = defineRewrite({
  name: 'split-bias',
  doc: {
    before: 'Gemm(x, W, C), C computed or not the same for every row',
    after: 'Gemm(x, W) + beta · C',
    requires: 'binary W',
    exactness: 'beta · C rounded once',
  },
  roots: ['Gemm'],
  match: (root, context) => {
    const added = root.input(2);
    if (added === null) return miss(root, 'it has no bias');
    const found = binaryWeightsOf(root.requiredInput(1), root, true, root.int('transB', 0) === 0, context);
    if (isMiss(found)) return found;
    const exact = context.evaluate(added);
    const isVector = exact !== null && channelVector(exact, 2, found.scale.length) !== null;
    return isVector ? miss(root, 'its bias is one number per output') : { added };
  },
  apply: (root, { added }, context) => {
    const { graph } = context;
    const inputs = root.inputs.slice(0, 2);
    const y = addLayer(root, 'Gemm', inputs, root.attributes, context);
    const beta = root.float('beta', 1);
    if (beta === 1) return addOp(graph, 'Add', [y, added], root);
    const factor = graph.addConstant(`${root.output.name}.beta`, scalar(beta));
    return addOp(graph, 'Add', [y, addOp(graph, 'Mul', [added, factor], root)], root);
  },
});
