/** A constant added to a packed layer goes into its bias. */

import { binaryLayerOf, extendLayer } from '../binary-layer.ts';
import { channelVector } from '../channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../rewrite.ts';

export const FOLD_BIAS = defineRewrite({
  name: 'fold-bias',
  doc: {
    before: 'Add(layer, c), Sub(layer, c) or Sub(c, layer)',
    after: 'layer with bias ± c (and scale negated for the last form)',
    requires: 'c constant, a scalar or per output channel; the layer has this one use and no residual',
    exactness: 'float64, rounded once together with all other folds',
  },
  roots: ['Add', 'Sub'],
  match: (root, context) => {
    const [first, second] = [root.requiredInput(0), root.requiredInput(1)];
    const constantFirst = context.isConstantExpression(first);
    const layer = binaryLayerOf(constantFirst ? second : first, root, context);
    if (isMiss(layer)) return layer;
    const exact = context.evaluate(constantFirst ? first : second);
    if (exact === null) return miss(root, 'it adds no constant');
    const offsets = channelVector(exact, layer.rank, layer.outputs);
    if (offsets === null)
      return miss(root, `its constant of shape [${exact.shape.join(', ')}] is not per output channel`);
    const isSub = root.is('Sub');
    return { layer, offsets, layerSign: isSub && constantFirst ? -1 : 1, offsetSign: isSub && !constantFirst ? -1 : 1 };
  },
  apply: (root, { layer, offsets, layerSign, offsetSign }, context) => {
    const { scale, bias } = layer.epilogue;
    const epilogue = {
      scale: scale.map((s) => layerSign * s),
      bias: bias.map((b, o) => layerSign * b + offsetSign * (offsets[o] ?? 0)),
    };
    return extendLayer(layer, root, { epilogue, folded: `bias (${root.describe()})` }, context);
  },
});
