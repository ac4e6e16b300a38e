/**
 * A factor of the data that is the same for every product of a sum moves behind the layer. So sums of signs stay, where the factor is
 * computed for each picture or row (mean|x|), or belongs to the input of a depthwise layer.
 *
 *     before   Conv(signs · r, W, b)
 *     after    Conv(signs, W) · r' + b
 *
 * Math     Σ_k (r·x_k) · w_k = r · Σ_k x_k·w_k, for r that does not depend on k.
 */

import type { Node, Value } from '../../../graph/graph.ts';
import { addLayer } from '../../../rewriting/add-layer.ts';
import { addOp, scalarOf } from '../../../rewriting/add-op.ts';
import type { RewriteContext } from '../../../rewriting/context.ts';
import { binaryWeightsOf } from '../../../rewriting/layers/binary-weights.ts';
import { channelVector } from '../../../rewriting/layers/channel-vector.ts';
import { binaryOperandOf } from '../../../rewriting/layers/layer-operands.ts';
import { defineRewrite, isMiss, type Miss, miss } from '../../../rewriting/rewrite.ts';
import { affineSignsOf } from '../../signs/affine-signs.ts';

interface Factored {
  readonly data: Value;
  /** `Mul` or `Div`. */
  readonly op: string;
  /** What the result is multiplied with or divided by; numbers per output channel. */
  readonly factor: Value | Float64Array;
  /** Per output channel; null where there is none. */
  readonly bias: Float64Array | null;
}

/** True where a factor has size 1 along every dimension that the layer sums over, and does not enlarge the data. */
function isPerSum(factor: Value, data: Value, isConv: boolean): boolean {
  const [own, whole] = [factor.shape, data.shape];
  if (own === null || whole === null || own.length > whole.length) return false;
  return own.every((size, i) => {
    const axis = i + whole.length - own.length;
    const isSummed = isConv ? axis > 0 : axis === whole.length - 1;
    return size === 1 || (!isSummed && size !== null && size === whole[axis]);
  });
}

/** A factor per input channel as one per output channel, where those of a group are equal. */
function perOutput(factor: Value, root: Node, outputs: number, context: RewriteContext): Float64Array | null {
  const groups = root.int('group', 1);
  const weight = root.requiredInput(1).shape;
  const [inner, rank] = [weight?.[1], weight?.length];
  const exact = context.evaluate(factor);
  if (exact === null || typeof inner !== 'number' || rank === undefined) return null;
  const factors = channelVector(exact, rank, inner * groups);
  if (factors === null || !factors.every((f, c) => f === factors[c - (c % inner)])) return null;
  return new Float64Array(outputs).map((_, o) => factors[Math.floor((o * groups) / outputs) * inner] ?? 1);
}

function match(root: Node, context: RewriteContext): Factored | Miss {
  const product = root.requiredInput(0).producer;
  if (product === null || !(product.is('Mul') || product.is('Div'))) return miss(root, 'its data are no product');
  const [a, b] = [product.requiredInput(0), product.requiredInput(1)];
  const isSwapped = product.is('Mul') && affineSignsOf(a) === null;
  const [data, factor] = isSwapped ? [b, a] : [a, b];
  // One number for all is for the layer's own rewrite.
  if (affineSignsOf(data) === null || scalarOf(factor) !== null)
    return miss(root, 'its data are not signs times a factor');
  const isConv = root.is('Conv');
  if (root.is('Gemm') && root.int('transA', 0) !== 0) return miss(root, 'its data are transposed');
  const weight = root.requiredInput(1);
  const isLast = root.is('MatMul') || (root.is('Gemm') && root.int('transB', 0) === 0);
  const weights = binaryWeightsOf(weight, root, true, isLast, context);
  if (isMiss(weights)) return weights;
  if (!isConv && weight.shape?.length !== 2) return miss(root, 'its weight is no matrix');
  let bias: Float64Array | null = null;
  if (!root.is('MatMul') && root.input(2) !== null) {
    const operand = binaryOperandOf(root, context);
    if (isMiss(operand)) return operand;
    bias = operand.bias;
  }
  if (isPerSum(factor, data, isConv)) return { data, op: product.op, factor, bias };
  const outputs = isConv ? perOutput(factor, root, weights.scale.length, context) : null;
  if (outputs !== null) return { data, op: product.op, factor: outputs, bias };
  return miss(root, 'the factor of its data differs within a sum');
}

function apply(root: Node, { data, op, factor, bias }: Factored, context: RewriteContext): Value {
  const { graph } = context;
  const layer = addLayer(root, root.op, [data, root.requiredInput(1)], root.attributes, context);
  const perChannel = (what: string, numbers: Float64Array) => {
    const shape = [1, numbers.length, ...new Array<number>((root.requiredInput(1).shape?.length ?? 2) - 2).fill(1)];
    const exact = { dtype: 'float32', shape, data: numbers } as const;
    return context.addExact(`${root.output.name}.${what}`, exact, root);
  };
  const outside = factor instanceof Float64Array ? perChannel('factor', factor) : factor;
  const scaled = addOp(graph, op, [layer, outside], root);
  return bias === null ? scaled : addOp(graph, 'Add', [scaled, perChannel('bias', bias)], root);
}

export const LIFT_FACTOR = defineRewrite({
  name: 'lift-factor',
  doc: {
    before: 'Conv(signs · r, W, b), Gemm or MatMul the same; r constant or computed, also Div',
    after: 'Conv(signs, W) · r + b',
    requires:
      'binary W; r of size 1 along the dimensions that are summed over, or constant per input channel and equal within each group',
    exactness: 'sums of signs bit-exact; the factor multiplies their result instead of each product',
  },
  roots: ['Conv', 'Gemm', 'MatMul'],
  match,
  apply,
});
