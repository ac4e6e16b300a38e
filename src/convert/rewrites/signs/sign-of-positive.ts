/** The sign of what is never negative is a comparison. */

import { scalar } from '../../../core/tensors/tensor.ts';
import { int } from '../../../graph/attribute.ts';
import { DTYPE_CODES } from '../../../graph/dtype-code.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import { defineRewrite, isMiss, miss } from '../../../rewriting/rewrite.ts';
import { clipped } from './clipped.ts';

export const SIGN_OF_POSITIVE = defineRewrite({
  name: 'sign-of-positive',
  doc: {
    before: 'Sign(Relu(x)), Sign(Clip(x, 0, high))',
    after: 'Cast(x > 0)',
    requires: 'high > 0',
    exactness: 'bit-exact',
  },
  roots: ['Sign'],
  match: (root) => {
    if (root.output.dtype !== 'float32') return miss(root, 'it is not of float32');
    const found = clipped(root);
    if (isMiss(found)) return found;
    return found.low === 0 ? found : miss(root, `its data are clipped to ${found.low} … ${found.high}`);
  },
  apply: (root, { source }, { graph }) => {
    const zero = graph.addConstant(`${root.output.name}.zero`, scalar(0));
    const isPositive = addOp(graph, 'Greater', [source, zero], root);
    return addOp(graph, 'Cast', [isPositive], root, {
      attributes: { to: int(DTYPE_CODES.float32) },
      name: root.name,
    });
  },
});
