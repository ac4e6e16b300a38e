/** Products of vectors or of stacks of matrices with one binary matrix become `Gemm(x, W)`, the form that the compiler packs. */

import { int64s } from '../../../core/tensors/tensor.ts';
import { type Attributes, int } from '../../../graph/attribute.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { BROADCASTING, UNARY } from '../../../operators/operator-facts.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { binaryWeightsOf } from '../../../rewriting/layers/binary-weights.ts';
import { defineRewrite, isMiss, miss } from '../../../rewriting/rewrite.ts';

/** The value furthest up that has the same sizes but the last, so that nothing between is kept for its shape alone. */
function outerLike(x: Value, context: RewriteContext): Value {
  const next = (node: Node): Value | null => {
    const data = node.inputs.filter((input) => input !== null && !context.isConstantExpression(input));
    const [first = null] = data;
    if (data.length !== 1 || first === null) return null;
    if (UNARY.includes(node.type)) return first;
    if (node.is('MatMul')) return first === node.input(0) && node.input(1)?.shape?.length === 2 ? first : null;
    if (!BROADCASTING.includes(node.type)) return null;
    const rank = first.shape?.length ?? 0;
    const isKept = node.inputs.every(
      (input) =>
        input === first ||
        ((input?.shape?.length ?? rank) <= rank && input?.shape?.slice(0, -1).every((size) => size === 1) === true),
    );
    return isKept ? first : null;
  };
  let value = x;
  for (let node = value.producer; node !== null; node = value.producer) {
    const shape = node.is('Reshape') ? node.requiredInput(1).producer : null;
    const open = shape?.is('Concat') === true && shape.inputs.length === 2 ? shape.requiredInput(0).producer : null;
    const isOurs = open?.is('Shape') === true && open.int('start', 0) === 0 && open.int('end', 0) === -1;
    const above = isOurs ? open.requiredInput(0) : next(node);
    if (above === null || above.shape?.length !== value.shape?.length) break;
    value = above;
  }
  return value;
}

export const FLATTEN_MATMUL = defineRewrite({
  name: 'flatten-matmul',
  doc: {
    before: 'MatMul(x, W), x of rank 3 or more, or a vector',
    after: 'Reshape(Gemm(Reshape(x), W))',
    requires: 'binary W of rank 2; x of known rank',
    exactness: 'bit-exact',
  },
  roots: ['MatMul'],
  match: (root, context) => {
    const [x, w] = [root.requiredInput(0), root.requiredInput(1)];
    if (x.shape === null || x.shape.length === 2 || w.shape?.length !== 2)
      return miss(root, 'its data are neither a vector nor a stack of matrices');
    const found = binaryWeightsOf(w, root, true, true, context);
    if (isMiss(found)) return found;
    const [rows, columns] = found.weights.shape;
    if (rows === undefined || columns === undefined) return miss(root, 'its weight is no matrix');
    return { x, w, rows, columns, outer: x.shape.slice(0, -1) };
  },
  apply: (root, { x, w, rows, columns, outer }, context) => {
    const { graph } = context;
    const shape = (sizes: readonly number[]) => graph.addConstant(`${root.output.name}.shape`, int64s(sizes));
    const matrix = addOp(graph, 'Reshape', [x, shape([-1, rows])], root);
    const y = addLayer(root, 'Gemm', [matrix, w], {}, context);
    const sizes = outer.map((size) => (typeof size === 'number' ? size : -1));
    if (sizes.filter((size) => size < 0).length <= 1) {
      return addOp(graph, 'Reshape', [y, shape([...sizes, columns])], root);
    }
    const attributes: Attributes = { start: int(0), end: int(-1) };
    const open = addOp(graph, 'Shape', [outerLike(x, context)], root, { attributes });
    const target = addOp(graph, 'Concat', [open, shape([columns])], root, { attributes: { axis: int(0) } });
    const result = addOp(graph, 'Reshape', [y, target], root);
    result.shape = [...outer, columns];
    return result;
  },
});
