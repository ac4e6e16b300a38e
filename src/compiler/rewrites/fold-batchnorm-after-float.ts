/** BatchNormalization after a float layer goes into the layer's weights. */

import { affineOfBatchNorm } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';
import { addFloatLayer, floatLayerOf, scaleAlong } from '../float-layer.ts';

export const FOLD_BATCHNORM_AFTER = defineRewrite({
  name: 'fold-batchnorm-after-float',
  doc: {
    before: 'BatchNormalization(Conv(x, W, b)) or BatchNormalization(Gemm(x, W, C))',
    after: 'Conv(x, W·f, b·f + β − μ·f), f = γ / √(σ² + ε) per output channel; Gemm likewise',
    requires: 'float weights that are constants; inference mode; the layer has this one use',
    exactness: 'float64, rounded once; the sums themselves differ by float rounding',
  },
  roots: ['BatchNormalization'],
  match: (root, context) => {
    const data = root.requiredInput(0);
    const layer = floatLayerOf(data.producer, root, context);
    if (isMiss(layer)) return layer;
    if (data.uses.length !== 1 || data.isOutput()) return miss(layer.node, 'its result is used elsewhere too');
    const affine = affineOfBatchNorm(root, context);
    if (isMiss(affine)) return affine;
    if (affine.factor.length !== layer.bias.length) return miss(root, 'its channels are not the output channels');
    return { layer, affine };
  },
  apply: (root, { layer, affine }, context) => {
    const weights = scaleAlong(layer.weights, layer.outputAxis, affine.factor);
    const bias = layer.bias.map((b, o) => b * (affine.factor[o] ?? 0) + (affine.offset[o] ?? 0));
    return addFloatLayer(layer, { data: layer.node.requiredInput(0), weights, bias }, root, context);
  },
});
