/** A PReLU after a packed layer becomes its last step but the offset. */

import { variantName } from '../../operators/variants.ts';
import { channelVector } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';
import { binaryLayerOf, extendLayer } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

export const FUSE_PRELU = defineRewrite({
  name: 'fuse-prelu',
  doc: {
    before: 'PRelu(layer, a) or LeakyRelu(layer)',
    after: 'the PRelu variant of the layer, with slope = a and offset = 0',
    requires:
      'a constant, a scalar or per output channel; the layer has this one use, binary data and no ReLU or PReLU yet',
    exactness: 'bit-exact',
  },
  roots: ['PRelu', 'LeakyRelu'],
  match: (root, context: CompileContext) => {
    const layer = binaryLayerOf(root.requiredInput(0), root, context, 'residual');
    if (isMiss(layer)) return layer;
    const { variant } = layer;
    if (variantName({ ...variant, prelu: true }) === undefined) {
      const obstacle = variant.weightOnly ? 'float data' : 'a ReLU';
      return miss(layer.node, `there is no operator for a binary layer with ${obstacle} and a PReLU`);
    }
    if (root.is('LeakyRelu')) return { layer, slope: new Float64Array(layer.outputs).fill(root.float('alpha', 0.01)) };
    const exact = context.evaluate(root.input(1));
    if (exact === null) return miss(root, 'its slope is not constant');
    const slope = channelVector(exact, layer.rank, layer.outputs);
    if (slope === null) return miss(root, `its slope of shape [${exact.shape.join(', ')}] is not per output channel`);
    return { layer, slope };
  },
  apply: (root, { layer, slope }, context) => {
    const channels = { slope, offset: new Float64Array(layer.outputs) };
    return extendLayer(
      layer,
      root,
      { variant: { prelu: true }, channels, folded: context.names.describe(root) },
      context,
    );
  },
});
