/** Sign moves behind operators that only rearrange or select, to where a binary layer can absorb it. */

import { BNN_DOMAIN } from '../../operators/definition.ts';
import { defineRewrite, miss } from '../rewrite.ts';

export const SINK_SIGN = defineRewrite({
  name: 'sink-sign',
  doc: {
    before: 'f(Sign(x)), f one of Flatten, Reshape, Transpose, Squeeze, Unsqueeze, MaxPool',
    after: 'Sign(f(x))',
    requires: 'Sign has this one use and x is not constant; MaxPool has no Indices output',
    exactness: 'bit-exact: Sign is monotone, so it commutes with the maximum',
  },
  roots: ['Flatten', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'MaxPool'],
  match: (root, context) => {
    const data = root.requiredInput(0);
    const sign = data.producer;
    if (sign === null || !sign.is('Sign', BNN_DOMAIN)) return miss(root, 'its input is not computed by bnn.Sign');
    if (root.outputs.length > 1) return miss(root, 'it has a second output');
    if (data.uses.length !== 1 || context.graph.isOutput(data)) return miss(sign, 'the signs are used elsewhere too');
    const source = sign.requiredInput(0);
    if (context.isConstantExpression(source)) return miss(sign, 'it binarizes a constant');
    return { sign, source };
  },
  apply: (root, { sign, source }, context) => {
    const moved = context.graph.addNode(root.op, [source, ...root.inputs.slice(1)], {
      name: root.name,
      attributes: root.attributes,
      before: root,
    });
    moved.output.dtype = source.dtype;
    moved.output.shape = root.output.shape;
    const signs = context.graph.addNode('Sign', [moved.output], { domain: BNN_DOMAIN, name: sign.name, before: root });
    return signs.output;
  },
});
