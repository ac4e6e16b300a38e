/** A packed layer whose result is only ever binarized gives the signs itself, by comparing integers. */

import type { Node } from '../../graph/graph.ts';
import { negateOutputs } from '../../operators/pack-weights.ts';
import { LAYER_VARIANTS, packedVariant, variantName } from '../../operators/variants.ts';
import { defineRewrite, isMiss, type Miss, miss } from '../../rewriting/rewrite.ts';
import { extendLayer, layerAt, layerInput } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';
import { type AccumulatorRange, type SignThreshold, signThreshold } from '../sign-threshold.ts';
import { otherThanSigns } from '../signs.ts';

const SIGN_VARIANT = { relu: false, add: false, prelu: false, sign: true } as const;

/** The operators that have a counterpart that gives signs. A residual is no integer: there is no threshold. */
const ROOTS = [...LAYER_VARIANTS]
  .filter(([, variant]) => !variant.sign && !variant.add && variantName({ ...variant, ...SIGN_VARIANT }) !== undefined)
  .map(([name]) => `bnn.${name}`);

function accumulatorRange(node: Node): AccumulatorRange {
  const taps = node.ints('kernel_shape', [1, 1]).reduce((product, size) => product * size, 1);
  const isPadded = node.ints('pads', []).some((pad) => pad > 0);
  return { most: taps * node.int('channels', 0), step: isPadded ? 1 : 2 };
}

/** The thresholds of all output channels, from the parameters as they stand in the file. */
function thresholdsOf(node: Node, relu: boolean): SignThreshold[] | Miss {
  const numbers = (name: string) => layerInput(node, name)?.constant?.data ?? null;
  const [scale, bias, slope, offset] = ['scale', 'bias', 'slope', 'offset'].map(numbers);
  if (scale == null || bias == null) return miss(node, 'its parameters are not constant');
  const range = accumulatorRange(node);
  const thresholds: SignThreshold[] = [];
  for (let o = 0; o < scale.length; o++) {
    const prelu = slope == null || offset == null ? null : { slope: Number(slope[o]), offset: Number(offset[o]) };
    const found = signThreshold({ relu, scale: Number(scale[o]), bias: Number(bias[o]), prelu }, range);
    if ('secondChangeAt' in found) {
      return miss(
        node,
        `the sign of output channel ${o} is not monotone in the accumulator: it changes twice up to ${found.secondChangeAt}`,
      );
    }
    thresholds.push(found);
  }
  return thresholds;
}

export const EMIT_SIGNS = defineRewrite({
  name: 'emit-signs',
  doc: {
    before: 'Sign(layer), the layer with scale, bias, ReLU, PReLU; MaxPool, Flatten and the like may stand in between',
    after: 'the Sign variant of the layer: +1 where acc ≥ acc_threshold; decreasing channels with negated weights',
    requires:
      'nothing reads the result but Sign, also inside of packed layers; constant parameters; no residual; the sign changes at most once over all values of the accumulator',
    exactness: 'bit-exact: every value of the accumulator was tried, in float32 as the function body computes it',
  },
  roots: ROOTS,
  match: (root, context: CompileContext) => {
    const variant = packedVariant(root);
    if (variant === undefined) throw new Error(`internal: ${root.type} is no packed layer`);
    const reader = otherThanSigns(root.output);
    if (reader === 'output') return miss(root, 'its result is a graph output');
    if (reader !== null) return miss(reader, 'it reads more than the sign of {}', root);
    const layer = layerAt(root, variant, context);
    if (isMiss(layer)) return layer;
    const weights = layerInput(root, 'w')?.constant ?? null;
    if (weights === null) return miss(root, 'its weights are not constant');
    const thresholds = thresholdsOf(root, variant.relu);
    return isMiss(thresholds) ? thresholds : { layer, weights, thresholds };
  },
  apply: (root, { layer, weights, thresholds }, context) => {
    const isNegated = thresholds.map((channel) => channel.isNegated);
    const change = {
      variant: SIGN_VARIANT,
      packed: negateOutputs(weights, root.int('channels', 0), isNegated),
      channels: { acc_threshold: Float64Array.from(thresholds, ({ threshold }) => threshold) },
      folded: 'sign of the result',
    };
    return extendLayer(layer, root, change, context);
  },
});
