/** Float convolutions and dense layers whose weights can be folded into. */

import { type Attributes, float } from '../graph/attribute.ts';
import type { Node, Value } from '../graph/graph.ts';
import { addOp } from '../rewriting/add-op.ts';
import type { RewriteContext } from '../rewriting/context.ts';
import type { Exact } from '../rewriting/exact/exact.ts';
import { channelVector } from '../rewriting/layers/channel-vector.ts';
import { type Miss, miss } from '../rewriting/miss.ts';

export interface FloatLayer {
  readonly node: Node;
  readonly weights: Exact;
  /** Dimension of the weights that counts the output channels. */
  readonly outputAxis: 0 | 1;
  /** beta · C of a dense layer; zeros when there is none. */
  readonly bias: Float64Array;
}

/**
 * The float layer that a node is, or why nothing can be folded into it. Weights that are still an expression of `bnn.Sign`
 * belong to a layer that the user keeps in float: folding a factor into them would take their sums off the integers.
 */
export function floatLayerOf(node: Node | null, root: Node, context: RewriteContext): FloatLayer | Miss {
  if (node === null || !(node.is('Conv') || node.is('Gemm'))) return miss(root, 'it is not next to a float layer');
  const weight = node.requiredInput(1);
  if (weight.constant === null) return miss(node, 'its weight {} is not a constant of the model', weight);
  const weights = context.evaluate(weight);
  if (weights === null || weights.dtype !== 'float32') return miss(node, 'its weight {} is not float32', weight);
  const isGemm = node.is('Gemm');
  if (isGemm && (node.int('transA', 0) !== 0 || node.float('alpha', 1) !== 1)) {
    return miss(node, 'it has transA or alpha');
  }
  const outputAxis = isGemm && node.int('transB', 0) === 0 ? 1 : 0;
  const outputs = weights.shape[outputAxis] ?? 0;
  const added = node.input(2);
  if (added === null) return { node, weights, outputAxis, bias: new Float64Array(outputs) };
  const exact = context.evaluate(added);
  // The bias of a convolution is [O], that of a dense layer broadcasts to [M, O]: the same as a vector of rank 2.
  const vector = exact === null ? null : channelVector(exact, 2, outputs);
  if (vector === null) return miss(node, 'its bias {} is not a constant per output channel', added);
  const beta = isGemm ? node.float('beta', 1) : 1;
  return { node, weights, outputAxis, bias: vector.map((b) => beta * b) };
}

/** Weights times a factor per index along one axis. */
export function scaleAlong(weights: Exact, axis: number, factor: Float64Array): Exact {
  const inner = weights.shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const data = new Float64Array(weights.data.length);
  for (let i = 0; i < data.length; i++) {
    data[i] = (weights.data[i] ?? 0) * (factor[Math.floor(i / inner) % factor.length] ?? 0);
  }
  return { ...weights, data };
}

export interface FloatLayerChange {
  readonly data: Value;
  /** Null when the weights stay. */
  readonly weights: Exact | null;
  readonly bias: Float64Array;
}

/** Puts a changed copy of a float layer in front of `root`; `folded` is the node it takes in, `root` by default. */
export function addFloatLayer(
  layer: FloatLayer,
  change: FloatLayerChange,
  root: Node,
  context: RewriteContext,
  folded: Node = root,
): Value {
  const { node } = layer;
  const weight = node.requiredInput(1);
  const outputs = change.bias.length;
  const bias: Exact = { dtype: 'float32', shape: [outputs], data: change.bias };
  const weights = change.weights === null ? weight : context.addExact(weight.name, change.weights, node);
  const inputs = [change.data, weights, context.addExact(node.input(2)?.name ?? `${weight.name}.bias`, bias, node)];
  const attributes: Attributes = node.is('Gemm') ? { ...node.attributes, beta: float(1) } : node.attributes;
  const output = addOp(context.graph, node.op, inputs, root, { name: node.name, attributes });
  const replacement = output.producer as Node;
  context.layers.move(node, replacement, context.names.describe(folded));
  // Why the layer was not packed stays true of its changed copy.
  const misses = context.misses.get(node);
  if (misses !== undefined) context.misses.set(replacement, misses);
  return output;
}
