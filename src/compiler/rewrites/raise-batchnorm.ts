/** BatchNormalization without a shift moves before the Relu or MaxPool that it follows, where a convolution may take it in. */

import { addOp } from '../../rewriting/add-op.ts';
import { affineOfBatchNorm } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../../rewriting/rewrite.ts';

export const RAISE_BATCHNORM = defineRewrite({
  name: 'raise-batchnorm',
  doc: {
    before: 'BatchNormalization(f(x)), f one of Relu, MaxPool',
    after: 'f(BatchNormalization(x))',
    requires: 'γ ≥ 0 and β = μ·γ / √(σ² + ε) on every channel; constant parameters; f has this one use; no Indices',
    exactness: 'a product with a factor ≥ 0 is monotone and keeps 0: bit-exact where μ = 0, else up to float rounding',
  },
  roots: ['BatchNormalization'],
  match: (root, context) => {
    const data = root.requiredInput(0);
    const inner = data.producer;
    if (inner === null || !(inner.is('Relu') || inner.is('MaxPool')) || inner.outputs.length > 1) {
      return miss(root, 'its input is no Relu or MaxPool');
    }
    if (data.uses.length !== 1 || data.isOutput()) return miss(inner, 'its result is used elsewhere too');
    const affine = affineOfBatchNorm(root, context);
    if (isMiss(affine)) return affine;
    if (!affine.factor.every((factor) => factor >= 0)) return miss(root, 'it has a negative factor');
    if (!affine.offset.every((offset) => offset === 0)) return miss(root, 'it shifts');
    return { inner };
  },
  apply: (root, { inner }, { graph }) => {
    const x = inner.requiredInput(0);
    const parameters = root.inputs.slice(1);
    const { attributes, name } = root;
    const normalized = addOp(graph, 'BatchNormalization', [x, ...parameters], root, { name, attributes });
    return addOp(graph, inner.type, [normalized], root, { name: inner.name, attributes: inner.attributes });
  },
});
