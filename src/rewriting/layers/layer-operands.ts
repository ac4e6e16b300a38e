/** What a convolution or dense layer with binary weights multiplies: the one place that decides, for conversion, compiler and reports. */

import type { Node, Value } from '../../graph/graph.ts';
import { isSignValued } from '../../operators/sign-valued.ts';
import type { RewriteContext } from '../context.ts';
import type { Exact } from '../exact/exact.ts';
import { isMiss, type Miss, miss } from '../miss.ts';
import { binaryWeightsOf } from './binary-weights.ts';
import { channelVector } from './channel-vector.ts';

export interface BinaryOperand {
  /** What is multiplied by the weights. */
  readonly data: Value;
  readonly weight: Value;
  /** ±magnitude[o]. */
  readonly weights: Exact;
  /** Factor per output channel, not negative; for a dense layer times alpha, which may be. */
  readonly scale: Float64Array;
  /** Magnitude of the weights alone; 0 where all of a channel are 0. */
  readonly magnitude: Float64Array;
  /** Constant per output channel, times beta; zeros when there is none. */
  readonly bias: Float64Array;
  /** Products per sum. */
  readonly terms: number;
}

export interface PackedOperands extends BinaryOperand {
  /** What a packed layer takes; without the sign in front, which the layer has itself. */
  readonly data: Value;
  /** True when the data are floats. */
  readonly weightOnly: boolean;
}

/** The layer that a Conv, a Gemm or a MatMul with its weights on the right is, or why it has no binary weights. */
export function binaryOperandOf(node: Node, context: RewriteContext): BinaryOperand | Miss {
  if (!node.is('Conv') && !node.is('Gemm') && !node.is('MatMul')) return miss(node, 'it is no layer');
  const data = node.requiredInput(0);
  if (context.isConstantExpression(data)) return miss(node, 'its data are constant');
  const found = operandOf(node, true, context);
  if (!isMiss(found) && node.is('MatMul') && data.shape?.length !== 2)
    return miss(node, 'its data are not known to be a matrix');
  return found;
}

/** Of a Conv, whose padding is for the caller, of a Gemm, or of a MatMul of two matrices: what it multiplies, when it can be packed. */
export function packedOperandsOf(node: Node, context: RewriteContext): PackedOperands | Miss {
  const data = node.requiredInput(0);
  const isBinary = isSignValued(data) && !context.isConstantExpression(data);
  const found = operandOf(node, isBinary, context);
  if (isMiss(found)) return found;
  if (data.dtype !== 'float32') return miss(node, `its data are ${data.dtype ?? 'of unknown dtype'}, expected float32`);
  const spatial = found.weights.shape.length - 2;
  if (node.is('Conv') && spatial !== 2)
    return miss(node, `it has ${spatial} spatial dimensions, binary convolutions have 2`);
  const sign = data.producer?.is('Sign', 'bnn') === true ? data.producer : null;
  return { ...found, data: sign?.requiredInput(0) ?? data, weightOnly: !isBinary };
}

function operandOf(node: Node, isDataBinary: boolean, context: RewriteContext): BinaryOperand | Miss {
  const [data, weight] = [node.requiredInput(0), node.requiredInput(1)];
  const outputsLast = !node.is('Conv') && node.int('transB', 0) !== 1;
  const found = binaryWeightsOf(weight, node, isDataBinary, outputsLast, context);
  if (isMiss(found)) return found;
  const { weights, scale: magnitude } = found;
  if (!node.is('Conv') && weights.shape.length !== 2)
    return miss(node, 'it multiplies each matrix of a stack with another one, which are no rows of one dense layer');
  if (node.int('transA', 0) !== 0) return miss(node, 'transA is 1: its rows are not contiguous');
  const bias = biasOf(node, magnitude.length, context);
  if (isMiss(bias)) return bias;
  const alpha = node.float('alpha', 1);
  const scale = magnitude.map((s) => alpha * s);
  return { data, weight, weights, scale, magnitude, bias, terms: weights.data.length / magnitude.length };
}

function biasOf(node: Node, outputs: number, context: RewriteContext): Float64Array | Miss {
  const added = node.is('MatMul') ? null : node.input(2);
  if (added === null) return new Float64Array(outputs);
  const exact = context.evaluate(added);
  const vector = exact === null ? null : channelVector(exact, 2, outputs);
  if (vector === null) return miss(node, 'its bias {} is not a constant per output channel', added);
  const beta = node.float('beta', 1);
  return vector.map((b) => beta * b);
}
