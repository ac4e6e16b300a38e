/** A constant factor after a packed layer goes into its scale and bias. */

import type { Node, Value } from '../../graph/graph.ts';
import { channelVector } from '../../rewriting/layers/channel-vector.ts';
import { defineRewrite, isMiss, type Miss, miss } from '../../rewriting/rewrite.ts';
import { type BinaryLayer, binaryLayerOf, extendLayer } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

interface Factors {
  readonly layer: BinaryLayer;
  readonly factors: Float64Array;
}

function factorsOf(root: Node, layerValue: Value, constant: Value | null, context: CompileContext): Factors | Miss {
  const layer = binaryLayerOf(layerValue, root, context);
  if (isMiss(layer)) return layer;
  if (root.is('Neg')) return { layer, factors: new Float64Array(layer.outputs).fill(-1) };
  const exact = context.evaluate(constant);
  if (exact === null) return miss(root, 'its factor is not constant');
  const factors = channelVector(exact, layer.rank, layer.outputs);
  if (factors === null) return miss(root, `its factor of shape [${exact.shape.join(', ')}] is not per output channel`);
  if (!root.is('Div')) return { layer, factors };
  if (factors.includes(0)) return miss(root, 'it divides by zero');
  return { layer, factors: factors.map((factor) => 1 / factor) };
}

export const FOLD_SCALE = defineRewrite({
  name: 'fold-scale',
  doc: {
    before: 'Mul(layer, c), Div(layer, c) or Neg(layer)',
    after: 'layer with scale · c, bias · c',
    requires: 'c constant, a scalar or per output channel; the layer has this one use, no residual and no PReLU',
    exactness: 'float64, rounded once together with all other folds',
  },
  roots: ['Mul', 'Div', 'Neg'],
  match: (root, context: CompileContext) => {
    const first = root.requiredInput(0);
    const second = root.input(1);
    if (!root.is('Mul') || second === null || !context.isConstantExpression(first)) {
      return factorsOf(root, first, second, context);
    }
    return factorsOf(root, second, first, context);
  },
  apply: (root, { layer, factors }, context) => {
    const { scale, bias } = layer.epilogue;
    const times = (numbers: Float64Array) => numbers.map((x, o) => x * (factors[o] ?? 0));
    const channels = { scale: times(scale), bias: times(bias) };
    return extendLayer(layer, root, { channels, folded: `scale (${context.names.describe(root)})` }, context);
  },
});
