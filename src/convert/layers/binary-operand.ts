/** A layer whose weights are ±s[o], and what it multiplies them with. */

import type { Node, Value } from '../../graph/graph.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import type { Exact } from '../../rewriting/exact/exact.ts';
import { type BinaryWeights, binaryWeightsOf } from '../../rewriting/layers/binary-weights.ts';
import { channelVector } from '../../rewriting/layers/channel-vector.ts';
import { isMiss, type Miss, miss } from '../../rewriting/miss.ts';

export interface BinaryOperand {
  /** What is multiplied by the weights. */
  readonly data: Value;
  readonly weight: Value;
  /** ±scale[o]. */
  readonly weights: Exact;
  /** Factor per output channel, not negative; for a dense layer times alpha, which may be. */
  readonly scale: Float64Array;
  /** Magnitude of the weights alone; 0 where all of a channel are 0. */
  readonly magnitude: Float64Array;
  /** Constant per output channel; zeros when there is none. */
  readonly bias: Float64Array;
  /** Products per sum. */
  readonly terms: number;
}

/** The layer that a Conv, a Gemm or a MatMul with its weights on the right is, or why it has no binary weights. */
export function binaryOperandOf(node: Node, context: RewriteContext): BinaryOperand | Miss {
  const isConv = node.is('Conv');
  if (!isConv && !node.is('Gemm') && !node.is('MatMul')) return miss(node, 'it is no layer');
  const [data, weight] = [node.requiredInput(0), node.requiredInput(1)];
  if (context.isConstantExpression(data)) return miss(node, 'its data are constant');
  const isTransposed = node.is('Gemm') && node.int('transB', 0) === 1;
  const found: BinaryWeights | Miss = binaryWeightsOf(weight, node, true, !isConv && !isTransposed, context);
  if (isMiss(found)) return found;
  const { weights, scale: magnitude } = found;
  if (!isConv && weights.shape.length !== 2)
    return miss(node, 'it multiplies each matrix of a stack with another one, which are no rows of one dense layer');
  if (node.is('MatMul') && data.shape?.length !== 2) return miss(node, 'its data are not known to be a matrix');
  if (node.is('Gemm') && node.int('transA', 0) !== 0) return miss(node, 'its data are transposed');
  const added = node.is('MatMul') ? null : node.input(2);
  let bias: Float64Array = new Float64Array(magnitude.length);
  if (added !== null) {
    const exact = context.evaluate(added);
    const vector = exact === null ? null : channelVector(exact, 2, magnitude.length);
    if (vector === null) return miss(node, 'its bias {} is not a constant per output channel', added);
    const beta = node.is('Gemm') ? node.float('beta', 1) : 1;
    bias = vector.map((b) => beta * b);
  }
  const alpha = node.is('Gemm') ? node.float('alpha', 1) : 1;
  const scale = magnitude.map((s) => alpha * s);
  return { data, weight, weights, scale, magnitude, bias, terms: weights.data.length / magnitude.length };
}
