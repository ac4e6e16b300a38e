/** Signs with a factor and an offset, as nodes. */

import { scalar } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import type { AffineSigns } from '../../signs/affine-signs.ts';

/** factor · signs + offset, in front of `root`. */
export function addAffine(
  root: Node,
  signs: Value,
  { factor, offset }: Pick<AffineSigns, 'factor' | 'offset'>,
  { graph }: RewriteContext,
): Value {
  const constant = (value: number) => graph.addConstant(`${root.output.name}.c`, scalar(value));
  let y = signs;
  if (factor === -1) y = addOp(graph, 'Neg', [y], root);
  else if (factor !== 1) y = addOp(graph, 'Mul', [y, constant(factor)], root);
  return offset === 0 ? y : addOp(graph, 'Add', [y, constant(offset)], root);
}
