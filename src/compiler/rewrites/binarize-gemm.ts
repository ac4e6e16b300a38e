/** Dense layers with binary weights become packed layers; the bits are written here. */

import { int } from '../../graph/attribute.ts';
import { packGemmWeights } from '../../operators/pack-weights.ts';
import { plainVariant } from '../../operators/variants.ts';
import { packedOperandsOf } from '../../rewriting/layers/layer-operands.ts';
import { defineRewrite, miss } from '../../rewriting/rewrite.ts';
import { createLayer } from '../binary-layer.ts';
import type { CompileContext } from '../context.ts';

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
  match: (root, context: CompileContext) => {
    if (context.isKept(root)) return miss(root, 'it is kept in float, as asked');
    return packedOperandsOf(root, context);
  },
  apply: (root, { data, weightOnly, weights, scale, bias }, context) => {
    const isTransposed = root.int('transB', 0) === 1;
    const [first = 0, second = 0] = weights.shape;
    const [outputs, channels] = isTransposed ? [first, second] : [second, first];
    const rows = isTransposed ? weights.data : transposed(weights.data, channels, outputs);
    const packed = packGemmWeights(rows, [outputs, channels]);
    const variant = plainVariant('Gemm', weightOnly);
    const attributes = { channels: int(channels) };
    return createLayer(root, { variant, data, packed, scale, bias, attributes }, context);
  },
});
