/** Padding signs with ±1 moves in front of the sign. */

import { scalar } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { type ConstantPad, constantPad } from './constant-pad.ts';

function paddedSign(root: Node): { readonly source: Value; readonly pad: ConstantPad } | Miss {
  const pad = constantPad(root);
  if (pad === null || Math.abs(pad.fill) !== 1) return miss(root, 'it does not pad with +1 or -1');
  const sign = pad.x.producer;
  if (sign?.is('Sign', 'bnn') !== true) return miss(root, 'it does not pad signs');
  return { source: sign.requiredInput(0), pad };
}

export const PAD_BEFORE_SIGN = defineRewrite({
  name: 'pad-before-sign',
  doc: {
    before: 'Pad(bnn.Sign(x), ±1)',
    after: 'bnn.Sign(Pad(x, ±1))',
    requires: 'constant pads',
    exactness: 'bit-exact: the sign of ±1 is ±1',
  },
  roots: ['Pad'],
  match: paddedSign,
  apply: (root, { source, pad }, { graph }) => {
    const fill = graph.addConstant(`${root.output.name}.fill`, scalar(pad.fill));
    const padded = addOp(graph, 'Pad', [source, root.requiredInput(1), fill], root, { name: root.name });
    return addOp(graph, 'bnn.Sign', [padded], root);
  },
});
