/** BatchNormalization after a packed layer goes into its scale and bias. */

import { affineOfBatchNorm } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';
import { binaryLayerOf, extendLayer } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

export const FOLD_BATCHNORM = defineRewrite({
  name: 'fold-batchnorm',
  doc: {
    before: 'BatchNormalization(layer, γ, β, μ, σ²)',
    after: 'layer with scale · f, bias · f + (β − μ·f), f = γ / √(σ² + ε)',
    requires: 'inference mode; constant parameters; the layer has this one use, no residual and no PReLU',
    exactness: 'float64, rounded once together with all other folds',
  },
  roots: ['BatchNormalization'],
  match: (root, context: CompileContext) => {
    const layer = binaryLayerOf(root.requiredInput(0), root, context);
    if (isMiss(layer)) return layer;
    const affine = affineOfBatchNorm(root, context);
    if (isMiss(affine)) return affine;
    if (affine.factor.length !== layer.outputs) {
      return miss(root, `it has ${affine.factor.length} channels, the layer ${layer.outputs}`);
    }
    return { layer, affine };
  },
  apply: (root, { layer, affine }, context) => {
    const { scale, bias } = layer.epilogue;
    const factor = (o: number) => affine.factor[o] ?? 0;
    const channels = {
      scale: scale.map((s, o) => s * factor(o)),
      bias: bias.map((b, o) => b * factor(o) + (affine.offset[o] ?? 0)),
    };
    return extendLayer(layer, root, { channels, folded: context.names.describe(root) }, context);
  },
});
