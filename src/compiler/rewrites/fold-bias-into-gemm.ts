/** A constant added to a float dense layer becomes its C. */

import { channelVector } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';
import { addFloatLayer, floatLayerOf } from '../float-layer.ts';

export const FOLD_BIAS_INTO_GEMM = defineRewrite({
  name: 'fold-bias-into-gemm',
  doc: {
    before: 'Add(Gemm(x, W, C), c) or Add(c, Gemm(x, W, C))',
    after: 'Gemm(x, W, C + c)',
    requires: 'C and c constant and per output channel; the dense layer has this one use',
    exactness: 'float64, rounded once',
  },
  roots: ['Add'],
  match: (root, context) => {
    const [first, second] = [root.requiredInput(0), root.requiredInput(1)];
    const [data, constant] = context.isConstantExpression(first) ? [second, first] : [first, second];
    const { producer } = data;
    if (producer?.is('Gemm') !== true) return miss(root, 'it adds to no dense layer');
    const layer = floatLayerOf(producer, root, context);
    if (isMiss(layer)) return layer;
    if (data.uses.length !== 1 || data.isOutput()) return miss(producer, 'its result is used elsewhere too');
    const exact = context.evaluate(constant);
    const offsets = exact === null ? null : channelVector(exact, 2, layer.bias.length);
    if (offsets === null) return miss(root, 'it adds no constant per output channel');
    return { layer, offsets };
  },
  apply: (root, { layer, offsets }, context) => {
    const bias = layer.bias.map((b, o) => b + (offsets[o] ?? 0));
    return addFloatLayer(layer, { data: layer.node.requiredInput(0), weights: null, bias }, root, context);
  },
});
