/** Pooling moves in front of a sign whose factor is negative, where it is still of floats that rise with the data. */

import { addOp, scalarOf } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';
import { affineSignsOf } from '../../signs/affine-signs.ts';
import { addAffine } from './add-affine.ts';

export const POOL_BEFORE_STEP = defineRewrite({
  name: 'pool-before-step',
  doc: {
    before: 'MaxPool(c − a · bnn.Sign(t − x)), the form of signs that give −1 at 0',
    after: 'c − a · bnn.Sign(t − MaxPool(x))',
    requires: 'a > 0',
    exactness: 'bit-exact: both the step and its difference rise with x',
  },
  roots: ['MaxPool'],
  match: (root) => {
    if (root.outputs.length > 1) return miss(root, 'it has a second output');
    const affine = affineSignsOf(root.requiredInput(0));
    const sign = affine?.signs.producer ?? null;
    if (affine === null || sign?.is('Sign', 'bnn') !== true) return miss(root, 'its data are not signs');
    if (affine.factor >= 0) return miss(root, 'the factor of its signs is positive');
    const inner = sign.requiredInput(0).producer;
    const isNegated = inner?.is('Neg') === true;
    const minuend = inner?.is('Sub') === true ? inner.requiredInput(0) : null;
    if (inner === null || (!isNegated && scalarOf(minuend) === null)) return miss(sign, 'it is not of t − x');
    return { affine, inner, minuend, x: inner.requiredInput(isNegated ? 0 : 1) };
  },
  apply: (root, { affine, inner, minuend, x }, context) => {
    const { graph } = context;
    const pooled = addOp(graph, 'MaxPool', [x], root, { attributes: root.attributes, name: root.name });
    const difference = addOp(graph, inner.op, minuend === null ? [pooled] : [minuend, pooled], root);
    return addAffine(root, addOp(graph, 'bnn.Sign', [difference], root), affine, context);
  },
});
