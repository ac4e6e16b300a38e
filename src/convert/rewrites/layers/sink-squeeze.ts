/**
 * What follows a convolution that was lifted to pictures of height 1 is computed on such pictures too, so that the two changes of shape
 * between neighbouring layers meet and cancel.
 */

import { int64s } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { BROADCASTING, UNARY } from '../../../operators/operator-facts.ts';
import { addOp, numbersOf } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { HEIGHT, liftedAttributes, pictureOf, withoutHeight } from './picture-of-height-one.ts';

const WINDOWS = ['MaxPool', 'AveragePool'];
const AS_THEY_ARE = ['BatchNormalization', 'GlobalAveragePool', 'GlobalMaxPool'];

/** Inputs for the same operator on pictures; constants that were broadcast get their height. */
function lifted(root: Node, context: RewriteContext): { readonly inputs: readonly (Value | null)[] } | Miss {
  const [data = null, ...rest] = root.inputs;
  if (root.outputs.length > 1) return miss(root, 'it has a second output');
  if (!BROADCASTING.includes(root.type)) {
    const picture = pictureOf(data);
    return picture === null ? miss(root, 'its data have no height') : { inputs: [picture, ...rest] };
  }
  const inputs = root.inputs.map((value) => {
    const isConstant = value !== null && value.shape !== null && context.isConstantExpression(value);
    return isConstant && (value.shape?.length ?? 4) <= 3 ? value : pictureOf(value);
  });
  if (inputs.includes(null)) return miss(root, 'one of its operands has no height');
  if (!inputs.some((value, i) => value !== root.input(i))) return miss(root, 'it is constant');
  return { inputs };
}

/** [C, L] against [N, C, L] is [C, 1, L] against [N, C, 1, L]; single numbers and [L] stay. */
function raised(value: Value, before: Node, { graph }: RewriteContext): Value {
  const rank = value.shape?.length ?? 0;
  if (rank < 2) return value;
  return addOp(graph, 'Unsqueeze', [value, graph.addConstant(`${value.name}.axis`, int64s([rank - 1]))], before);
}

export const SINK_SQUEEZE = defineRewrite({
  name: 'sink-squeeze',
  doc: {
    before: 'f(Squeeze(x), c), f element-wise, BatchNormalization or a pooling; Unsqueeze(Squeeze(x))',
    after: "Squeeze(f'(x, c')); x",
    requires: 'the height of 1 that lift-conv1d adds; all operands have it or are constant',
    exactness: 'bit-exact',
  },
  roots: [...UNARY, ...BROADCASTING, ...WINDOWS, ...AS_THEY_ARE, 'Unsqueeze'],
  match: (root, context) => {
    if (root.is('Unsqueeze')) {
      const axes = numbersOf(root.input(1));
      if (axes?.length !== 1 || axes[0] !== HEIGHT) return miss(root, 'it adds another dimension');
      const picture = pictureOf(root.input(0));
      return picture === null ? miss(root, 'its data have no height') : { inputs: [picture] };
    }
    return lifted(root, context);
  },
  apply: (root, { inputs }, context) => {
    const [first = null] = inputs;
    if (root.is('Unsqueeze') && first !== null) return first;
    const isBroadcast = BROADCASTING.includes(root.type);
    const ready = inputs.map((value, i) =>
      isBroadcast && value !== null && value === root.input(i) ? raised(value, root, context) : value,
    );
    const attributes = WINDOWS.includes(root.op) ? liftedAttributes(root) : root.attributes;
    return withoutHeight(addOp(context.graph, root.type, ready, root, { attributes, name: root.name }), root, context);
  },
});
