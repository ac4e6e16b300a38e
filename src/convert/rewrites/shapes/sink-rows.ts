/**
 * What follows a dense layer of a stack of matrices is computed on its rows, so that the compiler can fold it, and the two changes of
 * shape between neighbouring layers meet and cancel.
 *
 *     before   f(Reshape(y), c)        y[R, K], Reshape(y)[…, K], c[K]
 *     after    Reshape(f(y, c))
 */

import { int64s } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { BROADCASTING, UNARY } from '../../../operators/operator-facts.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { type Stack, stackOf } from './stack-of-rows.ts';

function haveSameShape(a: Value | null, b: Value | null): boolean {
  const [left, right] = [a?.shape ?? null, b?.shape ?? null];
  return left?.length === right?.length && left?.every((size, i) => size !== null && size === right?.[i]) === true;
}

/** Inputs for the same operator on rows; a constant that only varies along them becomes a vector. */
function onRows(
  root: Node,
  context: RewriteContext,
): { readonly inputs: readonly (Value | null)[]; stack: Stack } | Miss {
  if (root.outputs.length > 1) return miss(root, 'it has a second output');
  const first = root.inputs.find((input) => stackOf(input) !== null) ?? null;
  const stack = stackOf(first);
  if (stack === null) return miss(root, 'its data are no regrouped rows');
  if (!BROADCASTING.includes(root.type)) {
    return first === root.input(0)
      ? { inputs: [stack.rows, ...root.inputs.slice(1)], stack }
      : miss(root, 'its data are no regrouped rows');
  }
  const rank = first?.shape?.length ?? 0;
  const inputs = root.inputs.map((value) => {
    const other = stackOf(value);
    if (other !== null) return haveSameShape(value, first) ? other.rows : null;
    if (value?.shape == null || !context.isConstantExpression(value)) return null;
    const isVector = value.shape.length <= rank && value.shape.slice(0, -1).every((size) => size === 1);
    return isVector ? value : null;
  });
  return inputs.includes(null) ? miss(root, 'one of its operands has no such rows') : { inputs, stack };
}

export const SINK_ROWS = defineRewrite({
  name: 'sink-rows',
  doc: {
    before: 'f(Reshape(y), c), f element-wise, Reshape only regroups the rows of the matrix y',
    after: 'Reshape(f(y, c))',
    requires: 'c constant and the same for every row, or regrouped rows of the same shape',
    exactness: 'bit-exact',
  },
  roots: [...UNARY, ...BROADCASTING],
  match: onRows,
  apply: (root, { inputs, stack }, context) => {
    const { graph } = context;
    const ready = inputs.map((value, i) => {
      if (value === null || value !== root.input(i) || (value.shape?.length ?? 0) < 2) return value;
      return addOp(graph, 'Reshape', [value, graph.addConstant(`${value.name}.row`, int64s([-1]))], root);
    });
    const y = addOp(graph, root.type, ready, root, { attributes: root.attributes, name: root.name });
    const result = addOp(graph, 'Reshape', [y, stack.shape], root);
    result.shape = root.output.shape;
    return result;
  },
});
