import { type Attributes, float, int } from '../../../graph/attribute.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { binaryWeightsOf } from '../../../rewriting/layers/binary-weights.ts';
import { defineRewrite, isMiss, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { SWAP } from './swap-axes.ts';

interface Swapped {
  readonly weight: Value;
  readonly data: Value;
  /** Whether the transposed weight is what the file has. */
  readonly weightTransposed: boolean;
  readonly dataTransposed: boolean;
}

/** W · x with constant W on the left. */
function leftWeight(root: Node, context: RewriteContext): Swapped | Miss {
  const [w, x] = [root.requiredInput(0), root.requiredInput(1)];
  if (!context.isConstantExpression(w) || context.isConstantExpression(x))
    return miss(root, 'its left operand is not its weight');
  if (w.shape?.length !== 2 || x.shape?.length !== 2) return miss(root, 'its operands are not known to be matrices');
  const isGemm = root.is('Gemm');
  const weightTransposed = isGemm && root.int('transA', 0) === 1;
  const found = binaryWeightsOf(w, root, true, weightTransposed, context);
  if (isMiss(found)) return found;
  return { weight: w, data: x, weightTransposed, dataTransposed: isGemm && root.int('transB', 0) === 1 };
}

export const SWAP_OPERANDS = defineRewrite({
  name: 'swap-operands',
  doc: {
    before: 'MatMul(W, x) or Gemm(W, x, C)',
    after: 'Transpose(Gemm(Transpose(x), W, transB = 1)) + C',
    requires: 'both matrices; binary W',
    exactness: 'bit-exact',
  },
  roots: ['MatMul', 'Gemm'],
  match: leftWeight,
  apply: (root, { weight, data, weightTransposed, dataTransposed }, context) => {
    const { graph } = context;
    const rows = dataTransposed ? data : addOp(graph, 'Transpose', [data], root, { attributes: SWAP });
    const attributes: Attributes = {
      transB: int(weightTransposed ? 0 : 1),
      ...(root.is('Gemm') ? { alpha: float(root.float('alpha', 1)) } : {}),
    };
    const product = addLayer(root, 'Gemm', [rows, weight], attributes, context);
    const y = addOp(graph, 'Transpose', [product], root, { attributes: SWAP });
    const added = root.is('Gemm') ? root.input(2) : null;
    if (added === null) return y;
    const beta = root.float('beta', 1);
    const shape: readonly number[] = [];
    const factor = context.addExact(
      `${root.output.name}.beta`,
      { dtype: 'float32', shape, data: Float64Array.of(beta) },
      root,
    );
    return addOp(graph, 'Add', [y, beta === 1 ? added : addOp(graph, 'Mul', [added, factor], root)], root);
  },
});
