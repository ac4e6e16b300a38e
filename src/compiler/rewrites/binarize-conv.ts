/** Convolutions with binary weights become packed layers; the bits are written here. */

import { int, ints } from '../../graph/attribute.ts';
import { packConvWeights } from '../../operators/pack-weights.ts';
import { plainVariant } from '../../operators/variants.ts';
import { packedOperandsOf } from '../../rewriting/layers/layer-operands.ts';
import { defineRewrite, miss } from '../../rewriting/rewrite.ts';
import { createLayer } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

export const BINARIZE_CONV = defineRewrite({
  name: 'binarize-conv',
  doc: {
    before:
      'Conv(Sign(x), W, b) or Conv(x, W, b), W = ±s[o] per output channel, e.g. Sign(V) or α·Sign(V); signs may be moved, selected or joined before',
    after: 'BinaryConv(x, bits, scale = s, bias = b) or BinaryWeightConv(…)',
    requires:
      '2-D; W and b constant; explicit pads; float32; not kept by the user; with float data, W comes from bnn.Sign',
    exactness: 'accumulators bit-exact (BinaryWeightConv: float rounding); s leaves the sum, so products round once',
  },
  roots: ['Conv'],
  match: (root, context: CompileContext) => {
    if (context.isKept(root)) return miss(root, 'it is kept in float, as asked');
    const padding = root.string('auto_pad', 'NOTSET');
    if (padding !== 'NOTSET') return miss(root, `auto_pad ${padding} could not be resolved: the image size is unknown`);
    return packedOperandsOf(root, context);
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
