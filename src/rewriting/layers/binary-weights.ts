/** Recognizes weights that are binary up to a factor per output channel. */

import type { Node, Value } from '../../graph/graph.ts';
import type { RewriteContext } from '../context.ts';
import type { Exact } from '../exact/exact.ts';
import { type Miss, miss } from '../miss.ts';

export interface BinaryWeights {
  /** Unrounded weights; their signs are the bits. */
  readonly weights: Exact;
  /** Magnitude per output channel; 0 where all weights of the channel are 0. */
  readonly scale: Float64Array;
}

/**
 * Weights as ±scale[o]: `bnn.Sign(W)`, any constant expression of it such as α·Sign(W), or, when the data are binary as well,
 * plain numbers of that form.
 *
 * With float data, plain numbers of one magnitude (an averaging kernel, say) are left alone: nobody asked for bits there. A channel
 * of zeros, which a normalization with γ = 0 leaves behind when an exporter folds it in, is any signs times 0.
 *
 * @param outputsLast  true for [K, N] matrices, whose output channels are the last dimension.
 */
export function binaryWeightsOf(
  value: Value,
  root: Node,
  isDataBinary: boolean,
  outputsLast: boolean,
  context: RewriteContext,
): BinaryWeights | Miss {
  if (!context.isConstantExpression(value)) return miss(root, 'its weight {} is not constant', value);
  if (!isDataBinary && !context.hasSign(value)) {
    return miss(root, 'neither its data nor its weight {} goes through bnn.Sign', value);
  }
  const weights = context.evaluate(value);
  if (weights === null || weights.dtype !== 'float32') {
    return miss(root, `its weight {} is ${weights?.dtype ?? value.dtype ?? 'unknown'}, expected float32`, value);
  }
  const { data, shape } = weights;
  const outputs = (outputsLast ? shape.at(-1) : shape[0]) ?? 0;
  if (outputs === 0 || data.length === 0) return miss(root, 'its weight {} is empty', value);
  const rowLength = data.length / outputs;
  const [outputStep, innerStep] = outputsLast ? [1, outputs] : [rowLength, 1];
  const scale = new Float64Array(outputs);
  for (let o = 0; o < outputs; o++) {
    const magnitude = Math.abs(data[o * outputStep] ?? 0);
    for (let i = 0; i < rowLength; i++) {
      if (Math.abs(data[o * outputStep + i * innerStep] ?? 0) === magnitude) continue;
      return miss(root, `its weight {} is not binary: output channel ${o} has several magnitudes`, value);
    }
    if (!(magnitude < Infinity)) {
      return miss(root, `its weight {} is not binary: output channel ${o} has magnitude ${magnitude}`, value);
    }
    scale[o] = magnitude;
  }
  if (scale.every((s) => s === 0)) return miss(root, 'its weight {} is not binary: it is all 0', value);
  return { weights, scale };
}
