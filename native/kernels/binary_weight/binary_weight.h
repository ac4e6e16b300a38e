// Layers of which only the weights are binary: y = scale(o) · e(Σ x · w) + bias(o) (+ residual), x float, w in {−1, +1}.
//
// With float data a bit saves memory but no arithmetic: a fused multiply-add by ±1 is one instruction, as is a masked addition.
// The weights are therefore unpacked once, into the order of the tiles; those of 3×3 neighbours are transformed (winograd.h).
#pragma once

#include "kernels/binary_conv/conv_shape.h"
#include "memory/aligned_array.h"
#include "simd/isa.h"
#include "threading/parallel.h"

namespace bnn {

// `count` blocks f32[…][4] that lie `stride` floats apart.
struct FloatBlocks {
  const float* data;
  int count;
  int64_t stride;
};

struct FloatTileRow {
  const char* name;
  // sums[q][p] = Σ_{i < count} a[i][p] · b[q / 4][i][q % 4], p < width, for the outputs q of all blocks; or added to sums when `add` is set.
  // a: f32[count][pitch], sums: f32[4 · blocks][pitch]; width is a multiple of 16 up to 64, columns beyond it stay as they are.
  void (*multiply)(const float* a, int64_t pitch, const FloatBlocks& b, int64_t count, int width, bool add, float* sums);
  // target[c][p] = what pixel p sees of plane c through one tap, for c < planes.
  void (*copy_runs)(const float* source, ptrdiff_t planeStride, int64_t planes, const PanelRun* runs, int runCount, float* target);
  // y[p] = scale · e(sums[p]) + bias (+ residual[p]) for p < count.
  void (*finish)(const float* sums, int count, bool relu, float scale, float bias, const float* residual, float* y);
};

// The row for this processor, or the one named by BNN_KERNEL.
const FloatTileRow& float_tile_row();

struct UnpackedWeights {
  int groupOutputs = 0;          // rounded up to a multiple of 4 for convolutions, of 64 for dense layers
  AlignedArray<float> values;    // f32[groups][groupOutputs / 4][channels · taps][4], dense: f32[groupOutputs / 64][channels][64]
  AlignedArray<int8_t> spectra;  // or, instead of values, winograd_weights
};

// bits: u8[outputs][kernel rows][kernel columns][⌈channels / 8⌉]; pad bits are ignored.
UnpackedWeights unpack_conv_weights(const BinaryConvShape& shape, const uint8_t* bits);
UnpackedWeights unpack_dense_weights(const BinaryConvShape& shape, const uint8_t* bits);

// The same of any weights, f32[outputs][channels][kernel rows][kernel columns]: the kernels below do not need them to be ±1.
UnpackedWeights arrange_conv_weights(const BinaryConvShape& shape, const float* weights);
UnpackedWeights arrange_dense_weights(const BinaryConvShape& shape, const float* weights);

struct WeightLayerCall {
  int64_t batch, height, width;  // dense: batch rows of 1 × 1
  const float* x;
  const float* scale;  // f32[outputs]
  const float* bias;
  bool relu;
  const float* residual;  // or null
  float* y;
};

void binary_weight_conv(const BinaryConvShape& shape, const UnpackedWeights& weights, const WeightLayerCall& call,
                        const Parallel& parallel);
void binary_weight_gemm(const BinaryConvShape& shape, const UnpackedWeights& weights, const WeightLayerCall& call,
                        const Parallel& parallel);

}  // namespace bnn
