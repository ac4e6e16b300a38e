/** An Einsum that multiplies rows by a constant matrix is a MatMul. */

import { ints } from '../../../graph/attribute.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { einsumEquation } from '../../../graph/infer/linear.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { defineRewrite, type Miss, miss } from '../../../rewriting/rewrite.ts';

interface Product {
  readonly x: Value;
  readonly w: Value;
  /** True for W[outputs, inputs]. */
  readonly isTransposed: boolean;
}

function match(root: Node, context: RewriteContext): Product | Miss {
  const { operands, result } = einsumEquation(root);
  const equation = `${operands.join(',')}->${result}`;
  if (operands.length !== 2 || root.inputs.length !== 2) return miss(root, `it is no product of two: ${equation}`);
  for (const [data, weight] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const [x, w] = [root.requiredInput(data), root.requiredInput(weight)];
    const [rows = '', matrix = ''] = [operands[data], operands[weight]];
    if (!context.isConstantExpression(w) || !/^[A-Za-z]{2}$/.test(matrix)) continue;
    const summed = rows.at(-1) ?? '';
    const output = matrix.replace(summed, '');
    const isPlain = new Set(rows).size === rows.length || rows.startsWith('...');
    if (output.length !== 1 || rows.includes(output) || result !== `${rows.slice(0, -1)}${output}` || !isPlain)
      continue;
    const isTransposed = matrix[1] === summed;
    const expected = [...(x.shape ?? []).slice(0, -1), w.shape?.[isTransposed ? 0 : 1]];
    const { shape } = root.output;
    if (x.shape === null) return miss(root, 'the rank of its data is unknown');
    if (shape !== null && shape.join() !== expected.join())
      return miss(root, `its result is declared as [${shape.join(', ')}], expected [${expected.join(', ')}]`);
    return { x, w, isTransposed };
  }
  return miss(root, `it is no product of rows and a constant matrix: ${equation}`);
}

export const LOWER_EINSUM = defineRewrite({
  name: 'lower-einsum',
  doc: {
    before: 'Einsum(x, W), …i,oi->…o or …i,io->…o',
    after: 'MatMul(x, Transpose(W)) or MatMul(x, W)',
    requires: 'constant W of rank 2; the sum over the last dimension of x',
    exactness: 'bit-exact for sums of signs',
  },
  roots: ['Einsum'],
  match,
  apply: (root, { x, w, isTransposed }, context) => {
    const matrix = isTransposed
      ? addOp(context.graph, 'Transpose', [w], root, { attributes: { perm: ints([1, 0]) } })
      : w;
    return addLayer(root, 'MatMul', [x, matrix], {}, context);
  },
});
