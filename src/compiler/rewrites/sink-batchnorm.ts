/** BatchNormalization moves behind the MaxPool that reads it, where there are fewer elements. */

import { addOp } from '../../rewriting/add-op.ts';
import { affineOfBatchNorm } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';

export const SINK_BATCHNORM = defineRewrite({
  name: 'sink-batchnorm',
  doc: {
    before: 'MaxPool(BatchNormalization(x))',
    after: 'BatchNormalization(MaxPool(x))',
    requires:
      'γ ≥ 0 on every channel; inference mode; constant parameters; BatchNormalization has this one use; no Indices',
    exactness: 'bit-exact: an affine map with a factor ≥ 0 is monotone, rounded too, so it commutes with the maximum',
  },
  roots: ['MaxPool'],
  match: (root, context) => {
    const data = root.requiredInput(0);
    const normalization = data.producer;
    if (normalization?.is('BatchNormalization') !== true) return miss(root, 'its input is no BatchNormalization');
    if (root.outputs.length > 1) return miss(root, 'it has a second output');
    if (data.uses.length !== 1 || data.isOutput()) {
      return miss(normalization, 'its result is used elsewhere too');
    }
    const affine = affineOfBatchNorm(normalization, context);
    if (isMiss(affine)) return affine;
    const decreasing = affine.factor.findIndex((factor) => !(factor >= 0));
    if (decreasing >= 0) {
      return miss(
        normalization,
        `its factor of channel ${decreasing} is ${affine.factor[decreasing]}: the maximum would become the minimum`,
      );
    }
    return { normalization };
  },
  apply: (root, { normalization }, context) => {
    const { graph } = context;
    const [data, ...parameters] = normalization.inputs;
    const pooled = addOp(graph, 'MaxPool', [data ?? null], root, {
      name: root.name,
      attributes: root.attributes,
      like: root.output,
    });
    const { name, attributes } = normalization;
    return addOp(graph, 'BatchNormalization', [pooled, ...parameters], root, { name, attributes });
  },
});
