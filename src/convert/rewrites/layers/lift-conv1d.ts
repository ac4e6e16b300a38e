/**
 * Convolutions of one spatial dimension (sound, ECG) become convolutions of pictures of height 1, the only ones that are packed.
 *
 *     before   Conv(x, W)        x[N, C, L], W[O, C, K]
 *     after    Squeeze(Conv(Unsqueeze(x), Unsqueeze(W)))        x[N, C, 1, L], W[O, C, 1, K]
 */

import { int64s } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { binaryWeightsOf } from '../../../rewriting/layers/binary-weights.ts';
import { defineRewrite, isMiss, miss } from '../../../rewriting/rewrite.ts';
import { HEIGHT, liftedAttributes, withoutHeight } from './picture-of-height-one.ts';

function withHeight(value: Value, before: Node, { graph }: RewriteContext): Value {
  return addOp(graph, 'Unsqueeze', [value, graph.addConstant(`${value.name}.axis`, int64s([HEIGHT]))], before);
}

export const LIFT_CONV1D = defineRewrite({
  name: 'lift-conv1d',
  doc: {
    before: 'Conv(x[N, C, L], W[O, C, K])',
    after: 'Squeeze(Conv(Unsqueeze(x), Unsqueeze(W)))',
    requires: 'binary W',
    exactness: 'bit-exact',
  },
  tell: (count) =>
    `${count === 1 ? '1 convolution of one dimension is' : `${count} convolutions of one dimension are`} computed on pictures of height 1, exactly`,
  roots: ['Conv'],
  match: (root, context) => {
    const w = root.requiredInput(1);
    if (w.shape?.length !== 3) return miss(root, 'it has not one spatial dimension');
    const found = binaryWeightsOf(w, root, true, false, context);
    return isMiss(found) ? found : { w };
  },
  apply: (root, { w }, context) => {
    const inputs = [withHeight(root.requiredInput(0), root, context), withHeight(w, root, context)];
    const y = addLayer(root, 'Conv', [...inputs, ...root.inputs.slice(2)], liftedAttributes(root), context);
    return withoutHeight(y, root, context);
  },
});
