/** A constant added before the binarization of a packed layer's data becomes its threshold. */

import { LAYER_VARIANTS, packedVariant, variantName } from '../../operators/variants.ts';
import { channelVector, staticSize } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';
import { extendLayer, layerAt } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

/** The operators that have a counterpart with thresholds. */
const ROOTS = [...LAYER_VARIANTS]
  .filter(([, variant]) => !variant.threshold && variantName({ ...variant, threshold: true }) !== undefined)
  .map(([name]) => `bnn.${name}`);

export const FOLD_SHIFT = defineRewrite({
  name: 'fold-shift',
  doc: {
    before: 'BinaryConv(Add(x, c)) or BinaryConv(Sub(x, c))',
    after: 'BinaryThresholdConv(x), x_threshold = −c or c',
    requires: 'c constant, a scalar or per input channel, and does not enlarge x',
    exactness:
      'bit-exact where denormals are not flushed: a float sum is 0 only where x = −c, so x + c ≥ 0 and x ≥ −c agree',
  },
  roots: ROOTS,
  match: (root, context: CompileContext) => {
    const variant = packedVariant(root);
    if (variant === undefined) throw new Error(`internal: ${root.type} is no packed layer`);
    const shift = root.requiredInput(0).producer;
    if (shift === null || !(shift.is('Add') || shift.is('Sub'))) return miss(root, 'its data are not a sum');
    const [first, second] = [shift.requiredInput(0), shift.requiredInput(1)];
    const isReversed = context.isConstantExpression(first);
    if (isReversed && shift.is('Sub')) return miss(shift, 'it subtracts the data from a constant');
    const [data, constant] = isReversed ? [second, first] : [first, second];
    const exact = context.evaluate(constant);
    if (exact === null) return miss(shift, 'neither of its operands is constant');
    const channels = root.int('channels', 0) * root.int('group', 1);
    const shifts = channelVector(exact, 4, channels);
    if (shifts === null || data.shape?.length !== 4 || staticSize(data.shape, 1) !== channels) {
      return miss(shift, `its constant of shape [${exact.shape.join(', ')}] is not per channel of its data`);
    }
    const layer = layerAt(root, variant, context);
    return isMiss(layer) ? layer : { layer, data, shift, threshold: shift.is('Sub') ? shifts : shifts.map((c) => -c) };
  },
  apply: (root, { layer, data, shift, threshold }, context) => {
    const channels = { x_threshold: threshold };
    const folded = `shift (${context.names.describe(shift)})`;
    return extendLayer(layer, root, { variant: { threshold: true }, data, channels, folded }, context);
  },
});
