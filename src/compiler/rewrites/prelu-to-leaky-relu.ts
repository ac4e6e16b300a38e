/** PRelu with one slope for all is LeakyRelu, which has a kernel in 8-bit integers. */

import { float } from '../../graph/attribute.ts';
import { addOp } from '../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../rewriting/rewrite.ts';

export const PRELU_TO_LEAKY_RELU = defineRewrite({
  name: 'prelu-to-leaky-relu',
  doc: {
    before: 'PRelu(x, a)',
    after: 'LeakyRelu(x), alpha = a',
    requires: 'a constant, the same number everywhere',
    exactness: 'bit-exact',
  },
  roots: ['PRelu'],
  match: (root, context) => {
    const [slope, ...others] = new Set(context.evaluate(root.input(1))?.data);
    if (slope === undefined || others.length > 0) return miss(root, 'its slope is not one constant');
    return { slope };
  },
  apply: (root, { slope }, { graph }) =>
    addOp(graph, 'LeakyRelu', [root.requiredInput(0)], root, { name: root.name, attributes: { alpha: float(slope) } }),
});
