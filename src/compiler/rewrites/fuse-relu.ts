/** ReLU after a packed layer moves in front of the scale, onto the integer accumulator. */

import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';
import { binaryLayerOf, extendLayer } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

export const FUSE_RELU = defineRewrite({
  name: 'fuse-relu',
  doc: {
    before: 'Relu(scale · acc)',
    after: 'scale · max(acc, 0), the Relu variant of the layer',
    requires:
      'scale ≥ 0 and bias = 0 on every channel; the layer has this one use, no residual, no ReLU and no PReLU yet',
    exactness: 'bit-exact',
  },
  roots: ['Relu'],
  match: (root, context: CompileContext) => {
    const layer = binaryLayerOf(root.requiredInput(0), root, context);
    if (isMiss(layer)) return layer;
    if (layer.variant.relu) return miss(layer.node, 'the binary layer already has a ReLU');
    const { scale, bias } = layer.epilogue;
    const negative = scale.findIndex((s) => s < 0);
    if (negative >= 0) {
      return miss(
        layer.node,
        `the scale of output channel ${negative} is ${scale[negative]}: max(·, 0) would become min`,
      );
    }
    const shifted = bias.findIndex((b) => b !== 0);
    if (shifted >= 0) {
      return miss(
        layer.node,
        `the bias of output channel ${shifted} is ${bias[shifted]}, before the ReLU it must be 0`,
      );
    }
    return { layer };
  },
  apply: (root, { layer }, context) =>
    extendLayer(layer, root, { variant: { relu: true }, folded: context.names.describe(root) }, context),
});
