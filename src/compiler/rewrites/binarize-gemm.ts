/** Dense layers with binary weights become packed layers; the bits are written here. */

import { int } from '../../graph/attribute.ts';
import { packGemmWeights } from '../../operators/pack-weights.ts';
import { plainVariant } from '../../operators/variants.ts';
import { createLayer } from '../binary-layer.ts';
import { binaryWeightsOf } from '../binary-weights.ts';
import { channelVector } from '../channel-vector.ts';
import { defineRewrite, isMiss, miss } from '../rewrite.ts';

/** [K, N] to [N, K]. */
function transposed(data: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(data.length);
  for (let k = 0; k < rows; k++) {
    for (let n = 0; n < columns; n++) result[n * rows + k] = data[k * columns + n] ?? 0;
  }
  return result;
}

export const BINARIZE_GEMM = defineRewrite({
  name: 'binarize-gemm',
  doc: {
    before: 'Gemm(Sign(x), W, C) or Gemm(x, W, C) with alpha, beta, transB; W = ±s[o] per output channel',
    after: 'BinaryGemm(x, bits, scale = alpha·s, bias = beta·C) or BinaryWeightGemm(…)',
    requires: 'transA = 0; W and C constant, C per output channel; float32; not kept by the user',
    exactness: 'accumulators bit-exact (BinaryWeightGemm: float rounding)',
  },
  roots: ['Gemm'],
  match: (root, context) => {
    if (context.isKept(root)) return miss(root, 'it is kept in float, as asked');
    const data = root.requiredInput(0);
    const sign = data.producer?.is('Sign', 'bnn') === true ? data.producer : null;
    const isTransposed = root.int('transB', 0) === 1;
    const found = binaryWeightsOf(root.requiredInput(1), root, sign !== null, !isTransposed, context);
    if (isMiss(found)) return found;
    const { weights, scale: magnitudes } = found;
    if (weights.shape.length !== 2) return miss(root, `its weight has rank ${weights.shape.length}, expected 2`);
    if (root.int('transA', 0) !== 0) return miss(root, 'transA is 1: its rows are not contiguous');
    if (data.dtype !== 'float32')
      return miss(root, `its data are ${data.dtype ?? 'of unknown dtype'}, expected float32`);
    const alpha = root.float('alpha', 1);
    const beta = root.float('beta', 1);
    const scale = magnitudes.map((magnitude) => alpha * magnitude);
    let bias: Float64Array = new Float64Array(scale.length);
    const added = root.input(2);
    if (added !== null) {
      const exact = context.evaluate(added);
      const vector = exact === null ? null : channelVector(exact, 2, scale.length);
      if (vector === null) return miss(root, `its input C (${added.name}) is not a constant per output channel`);
      bias = vector.map((c) => beta * c);
    }
    const x = sign?.requiredInput(0) ?? data;
    return { x, weightOnly: sign === null, isTransposed, weights, scale, bias };
  },
  apply: (root, { x, weightOnly, isTransposed, weights, scale, bias }, context) => {
    const [first = 0, second = 0] = weights.shape;
    const [outputs, channels] = isTransposed ? [first, second] : [second, first];
    const rows = isTransposed ? weights.data : transposed(weights.data, channels, outputs);
    const packed = packGemmWeights(rows, [outputs, channels]);
    const variant = plainVariant('Gemm', weightOnly);
    const attributes = { channels: int(channels) };
    return createLayer(root, { variant, data: x, packed, scale, bias, attributes }, context);
  },
});
