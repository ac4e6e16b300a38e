/** Sign moves behind operators that only rearrange or select, to where a binary layer can absorb it. */

import { BNN_DOMAIN } from '../../operators/definition.ts';
import { operatorsWith, passesFirst } from '../../operators/operator-facts.ts';
import { addOp } from '../add-op.ts';
import { defineRewrite, miss } from '../rewrite.ts';

/** Where Sign would have to be taken of every output, it stays. Identity goes by itself. */
const ROOTS = operatorsWith((facts) => passesFirst(facts) && facts.everyOutput !== true).filter(
  (type) => type !== 'Identity',
);

export const SINK_SIGN = defineRewrite({
  name: 'sink-sign',
  doc: {
    before:
      'f(Sign(x)), f an operator that moves or selects elements of its data: Reshape, Transpose, Slice, MaxPool …',
    after: 'Sign(f(x))',
    requires: 'Sign has this one use and x is not constant; f has no second output',
    exactness: 'bit-exact: Sign is monotone, so it commutes with the maximum',
  },
  roots: ROOTS,
  match: (root, context) => {
    const data = root.requiredInput(0);
    const sign = data.producer;
    if (sign === null || !sign.is('Sign', BNN_DOMAIN)) return miss(root, 'its input is not computed by bnn.Sign');
    if (root.outputs.length > 1) return miss(root, 'it has a second output');
    if (data.uses.length !== 1 || data.isOutput()) return miss(sign, 'the signs are used elsewhere too');
    const source = sign.requiredInput(0);
    if (context.isConstantExpression(source)) return miss(sign, 'it binarizes a constant');
    return { sign, source };
  },
  apply: (root, { sign, source }, context) => {
    const { name, attributes, output } = root;
    const like = { dtype: source.dtype, shape: output.shape };
    const moved = addOp(context.graph, root.type, [source, ...root.inputs.slice(1)], root, { name, attributes, like });
    return addOp(context.graph, 'bnn.Sign', [moved], root, { name: sign.name });
  },
});
