/** BatchNormalization before a float dense layer goes into the layer's weights. */

import type { Node } from '../../graph/graph.ts';
import { affineOfBatchNorm } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';
import { addFloatLayer, type FloatLayer, floatLayerOf, scaleAlong } from '../float-layer.ts';

/** Σ_k offset[k] · W[k, n]: what a constant input contributes to each output. */
function contribution(layer: FloatLayer, offset: Float64Array): Float64Array {
  const { weights, outputAxis } = layer;
  const [first = 0, second = 0] = weights.shape;
  const result = new Float64Array(weights.shape[outputAxis] ?? 0);
  for (let i = 0; i < first; i++) {
    for (let j = 0; j < second; j++) {
      const [n, k] = outputAxis === 0 ? [i, j] : [j, i];
      result[n] = (result[n] ?? 0) + (weights.data[i * second + j] ?? 0) * (offset[k] ?? 0);
    }
  }
  return result;
}

function batchNormBefore(node: Node): Node | null {
  const producer = node.requiredInput(0).producer;
  return producer?.is('BatchNormalization') === true ? producer : null;
}

export const FOLD_BATCHNORM_BEFORE = defineRewrite({
  name: 'fold-batchnorm-before-gemm',
  doc: {
    before: 'Gemm(BatchNormalization(x), W, C)',
    after: 'Gemm(x, W·f along the inputs, C + Σ (β − μ·f)·W), f = γ / √(σ² + ε)',
    requires: 'x of rank 2; float weights that are constants; BatchNormalization has this one use',
    exactness: 'float64, rounded once; the sums themselves differ by float rounding',
  },
  roots: ['Gemm'],
  match: (root, context) => {
    const normalization = batchNormBefore(root);
    if (normalization === null) return miss(root, 'its data are not computed by BatchNormalization');
    const { output } = normalization;
    if (output.uses.length !== 1 || output.isOutput()) {
      return miss(normalization, 'its result is used elsewhere too');
    }
    const layer = floatLayerOf(root, root, context);
    if (isMiss(layer)) return layer;
    const affine = affineOfBatchNorm(normalization, context);
    if (isMiss(affine)) return affine;
    if (affine.factor.length !== layer.weights.shape[1 - layer.outputAxis]) {
      return miss(normalization, 'its channels are not the inputs of the dense layer');
    }
    return { layer, normalization, affine };
  },
  apply: (root, { layer, normalization, affine }, context) => {
    const weights = scaleAlong(layer.weights, 1 - layer.outputAxis, affine.factor);
    const added = contribution(layer, affine.offset);
    const bias = layer.bias.map((b, o) => b + (added[o] ?? 0));
    return addFloatLayer(layer, { data: normalization.requiredInput(0), weights, bias }, root, context, normalization);
  },
});
