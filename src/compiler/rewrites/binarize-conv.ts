/** Convolutions with binary weights become packed layers; the bits are written here. */

import { int, ints } from '../../graph/attribute.ts';
import type { Node } from '../../graph/graph.ts';
import { packConvWeights } from '../../operators/pack-weights.ts';
import { plainVariant } from '../../operators/variants.ts';
import { createLayer } from '../binary-layer.ts';
import { binaryWeightsOf } from '../binary-weights.ts';
import type { CompileContext } from '../context.ts';
import { defineRewrite, isMiss, type Miss, miss } from '../rewrite.ts';

/** The bias per output channel as float64, zeros when there is none. */
function convBias(root: Node, outputs: number, context: CompileContext): Float64Array | Miss {
  const input = root.input(2);
  if (input === null) return new Float64Array(outputs);
  return context.evaluate(input)?.data ?? miss(root, `its bias ${input.name} is not constant`);
}

export const BINARIZE_CONV = defineRewrite({
  name: 'binarize-conv',
  doc: {
    before: 'Conv(Sign(x), W, b) or Conv(x, W, b), W = ±s[o] per output channel, e.g. Sign(V) or α·Sign(V)',
    after: 'BinaryConv(x, bits, scale = s, bias = b) or BinaryWeightConv(…)',
    requires:
      '2-D; W and b constant; explicit pads; float32; not kept by the user; with float data, W comes from bnn.Sign',
    exactness: 'accumulators bit-exact (BinaryWeightConv: float rounding); s leaves the sum, so products round once',
  },
  roots: ['Conv'],
  match: (root, context) => {
    if (context.isKept(root)) return miss(root, 'it is kept in float, as asked');
    const data = root.requiredInput(0);
    const sign = data.producer?.is('Sign', 'bnn') === true ? data.producer : null;
    const found = binaryWeightsOf(root.requiredInput(1), root, sign !== null, false, context);
    if (isMiss(found)) return found;
    const { weights, scale } = found;
    if (weights.shape.length !== 4)
      return miss(root, `it has ${weights.shape.length - 2} spatial dimensions, binary convolutions have 2`);
    const padding = root.string('auto_pad', 'NOTSET');
    if (padding !== 'NOTSET') return miss(root, `auto_pad ${padding} could not be resolved: the image size is unknown`);
    if (data.dtype !== 'float32')
      return miss(root, `its data are ${data.dtype ?? 'of unknown dtype'}, expected float32`);
    const bias = convBias(root, scale.length, context);
    if (isMiss(bias)) return bias;
    return { data: sign?.requiredInput(0) ?? data, weightOnly: sign === null, weights, scale, bias };
  },
  apply: (root, { data, weightOnly, weights, scale, bias }, context) => {
    const { shape } = weights;
    const attributes = {
      strides: ints(root.ints('strides', [1, 1])),
      pads: ints(root.ints('pads', [0, 0, 0, 0])),
      dilations: ints(root.ints('dilations', [1, 1])),
      group: int(root.int('group', 1)),
      kernel_shape: ints(shape.slice(2)),
      channels: int(shape[1] ?? 0),
    };
    const packed = packConvWeights(weights.data, shape);
    const variant = plainVariant('Conv', weightOnly);
    return createLayer(root, { variant, data, packed, scale, bias, attributes }, context);
  },
});
