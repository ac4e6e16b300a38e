/** Constants that act on each output channel. */

import type { Node, Shape } from '../../graph/graph.ts';
import type { RewriteContext } from '../context.ts';
import type { Exact } from '../exact/exact.ts';
import { type Miss, miss } from '../miss.ts';

/**
 * The factor or offset per channel that a constant is when it is broadcast against a tensor [N, channels, …], or null when it
 * varies along another dimension, or would enlarge the tensor.
 *
 * @param rank  of the tensor; channels are dimension 1.
 */
export function channelVector({ shape, data }: Exact, rank: number, channels: number): Float64Array | null {
  if (shape.length > rank) return null;
  const channelAxis = shape.length - rank + 1;
  for (const [axis, size] of shape.entries()) {
    if (size !== 1 && (axis !== channelAxis || size !== channels)) return null;
  }
  if (data.length === 1) return new Float64Array(channels).fill(data[0] ?? 0);
  return data;
}

export interface Affine {
  /** y = factor · x + offset, per channel. */
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

/** An inference-mode BatchNormalization as an affine map, in float64; a miss when it trains or is not constant. */
export function affineOfBatchNorm(node: Node, context: RewriteContext): Affine | Miss {
  if (node.int('training_mode', 0) === 1 || node.outputs.length > 1) return miss(node, 'it is in training mode');
  const parameters: Float64Array[] = [];
  for (let i = 1; i <= 4; i++) {
    const exact = context.evaluate(node.input(i));
    if (exact === null) return miss(node, `its input ${i} is not a constant`);
    parameters.push(exact.data);
  }
  const [gamma, beta, mean, variance] = parameters;
  const epsilon = node.float('epsilon', 1e-5);
  if (gamma === undefined || beta === undefined || mean === undefined || variance === undefined) {
    throw new Error('internal: BatchNormalization has four parameters');
  }
  const factor = gamma.map((g, c) => g / Math.sqrt((variance[c] ?? Number.NaN) + epsilon));
  const offset = beta.map((b, c) => b - (mean[c] ?? 0) * (factor[c] ?? 0));
  return { factor, offset };
}

/** A known, fixed size; null otherwise. */
export function staticSize(shape: Shape | null, axis: number): number | null {
  const size = shape?.[axis];
  return typeof size === 'number' ? size : null;
}
