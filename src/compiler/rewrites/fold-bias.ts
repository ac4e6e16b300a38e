/** A constant added to a packed layer goes into its bias, or into its offset behind a PReLU. */

import { channelVector } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';
import { binaryLayerOf, extendLayer } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

export const FOLD_BIAS = defineRewrite({
  name: 'fold-bias',
  doc: {
    before: 'Add(layer, c), Sub(layer, c) or Sub(c, layer)',
    after: 'layer with bias ± c (and scale negated for the last form); behind a PReLU, with offset ± c',
    requires:
      'c constant, a scalar or per output channel; the layer has this one use; for Sub(c, layer) no residual and no PReLU',
    exactness: 'float64, rounded once together with all other folds; behind a residual, the float sum is reassociated',
  },
  roots: ['Add', 'Sub'],
  match: (root, context: CompileContext) => {
    const [first, second] = [root.requiredInput(0), root.requiredInput(1)];
    const constantFirst = context.isConstantExpression(first);
    const isNegated = root.is('Sub') && constantFirst;
    const layer = binaryLayerOf(constantFirst ? second : first, root, context, isNegated ? 'scale' : 'prelu');
    if (isMiss(layer)) return layer;
    const exact = context.evaluate(constantFirst ? first : second);
    if (exact === null) return miss(root, 'it adds no constant');
    const added = channelVector(exact, layer.rank, layer.outputs);
    if (added === null)
      return miss(root, `its constant of shape [${exact.shape.join(', ')}] is not per output channel`);
    const offsetSign = root.is('Sub') && !constantFirst ? -1 : 1;
    return { layer, added: added.map((c) => offsetSign * c), isNegated };
  },
  apply: (root, { layer, added, isNegated }, context) => {
    const { scale, bias, offset } = layer.epilogue;
    const plus = (numbers: Float64Array) => numbers.map((x, o) => x + (added[o] ?? 0));
    const negative = (numbers: Float64Array) => numbers.map((x) => -x);
    const folded = `bias (${context.names.describe(root)})`;
    if (offset !== null) return extendLayer(layer, root, { channels: { offset: plus(offset) }, folded }, context);
    const channels = isNegated ? { scale: negative(scale), bias: plus(negative(bias)) } : { bias: plus(bias) };
    return extendLayer(layer, root, { channels, folded }, context);
  },
});
