/** What a convolution or dense layer multiplies, when it can be packed: the one place that decides, for the compiler and for reports. */

import type { Node, Value } from '../../graph/graph.ts';
import { isSignValued } from '../../operators/sign-valued.ts';
import type { RewriteContext } from '../context.ts';
import { isMiss, type Miss, miss } from '../miss.ts';
import { type BinaryWeights, binaryWeightsOf } from './binary-weights.ts';
import { channelVector } from './channel-vector.ts';

export interface LayerOperands extends BinaryWeights {
  /** What a packed layer takes; without the sign in front, which the layer has itself. */
  readonly data: Value;
  /** True when the data are floats. */
  readonly weightOnly: boolean;
  /** Per output channel; zeros when there is none. */
  readonly bias: Float64Array;
}

function operands(root: Node, outputsLast: boolean, context: RewriteContext): Omit<LayerOperands, 'bias'> | Miss {
  const data = root.requiredInput(0);
  const isBinary = isSignValued(data) && !context.isConstantExpression(data);
  const found = binaryWeightsOf(root.requiredInput(1), root, isBinary, outputsLast, context);
  if (isMiss(found)) return found;
  if (data.dtype !== 'float32') return miss(root, `its data are ${data.dtype ?? 'of unknown dtype'}, expected float32`);
  const sign = data.producer?.is('Sign', 'bnn') === true ? data.producer : null;
  return { ...found, data: sign?.requiredInput(0) ?? data, weightOnly: !isBinary };
}

/** Of a Conv; its padding is for the caller. */
export function convOperands(root: Node, context: RewriteContext): LayerOperands | Miss {
  const found = operands(root, false, context);
  if (isMiss(found)) return found;
  const spatial = found.weights.shape.length - 2;
  if (spatial !== 2) return miss(root, `it has ${spatial} spatial dimensions, binary convolutions have 2`);
  const input = root.input(2);
  if (input === null) return { ...found, bias: new Float64Array(found.scale.length) };
  const bias = context.evaluate(input)?.data;
  return bias === undefined ? miss(root, 'its bias {} is not constant', input) : { ...found, bias };
}

/** Of a Gemm, or of a MatMul of two matrices. */
export function gemmOperands(root: Node, context: RewriteContext): LayerOperands | Miss {
  const found = operands(root, root.int('transB', 0) !== 1, context);
  if (isMiss(found)) return found;
  if (found.weights.shape.length !== 2) {
    return miss(root, `its weight has rank ${found.weights.shape.length}, expected 2`);
  }
  if (root.int('transA', 0) !== 0) return miss(root, 'transA is 1: its rows are not contiguous');
  const scale = found.scale.map((magnitude) => root.float('alpha', 1) * magnitude);
  const added = root.input(2);
  if (added === null) return { ...found, scale, bias: new Float64Array(scale.length) };
  const exact = context.evaluate(added);
  const vector = exact === null ? null : channelVector(exact, 2, scale.length);
  if (vector === null) return miss(root, 'its input C ({}) is not a constant per output channel', added);
  return { ...found, scale, bias: vector.map((c) => root.float('beta', 1) * c) };
}
