// Direct convolution of floats, images of one size after another, channels first: of a few channels, for the first layer of a network; and
// of one element, for shortcuts.
//
//     s(c)    = Σ_taps x(c, …) · w(o, c, tap)       fused multiply-adds in the order of the taps, from 0 on
//     z(o, p) = ((s(0) + s(1)) + …) + bias(o),      then max(·, 0) where `relu`
//     y(o, p) = fused(z, scale(o), 0) + shift(o)    where there is a scale
//
// Of a kernel of one element on whole blocks of channels, c counts batches of kBatch channels and the channels of one are its taps.
//
// That is what onnxruntime's blocked convolution (NCHWc, with channels of a picture in their own order) and the batch normalization behind it
// compute on processors with AVX-512, so the results are the same to the bit. Padding is zeros, which change no sum of finite weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/binary_conv/conv_shape.h"
#include "memory/aligned_array.h"
#include "simd/isa.h"
#include "threading/parallel.h"

namespace bnn {

// Blocks of four outputs that `columns` makes together.
constexpr int kColumnBlocks = 4;

// Channels that onnxruntime sums up at a time where the kernel is one element.
constexpr int64_t kBatch = 128;

// Whether a layer is one of a single element in the sense above: then there are up to kBatch channels, or whole batches, and no padding.
inline bool is_pointwise(const BinaryConvShape& s) { return s.taps() == 1 && s.channels >= 16; }

struct FloatConv {
  BinaryConvShape shape{};  // one group
  bool relu = false;
  AlignedArray<float> weights;            // f32[blocks][channels][taps][4], blocks of outputs up to a multiple of kColumnBlocks
  std::vector<float> bias, scale, shift;  // f32[as many outputs], or empty
};

// weights: f32[outputs][channels][kernel rows][kernel columns]; the vectors f32[outputs], or empty.
FloatConv make_float_conv(const BinaryConvShape& shape, bool relu, const float* weights, std::vector<float> bias,
                          std::vector<float> scale, std::vector<float> shift);

// One image: f32[channels][height][width] -> f32[outputs][out height][out width].
void float_conv(const FloatConv& conv, int64_t height, int64_t width, const float* x, float* y, const Parallel& parallel);

// One row of pixels of four outputs.
struct FloatRowJob {
  const float* x;         // of the first pixel
  const ptrdiff_t* taps;  // where the taps of a channel lie, i64[tapCount]
  int64_t tapCount, channels;
  ptrdiff_t channelStride;
  const float* weights;  // f32[channels][taps][4]
  int count;             // pixels; whole vectors are read and written
  const float* bias;     // f32[4], or null
  bool relu;
  float* y;  // f32[4][pitch]
  ptrdiff_t pitch;
};

struct FloatConvRow {
  const char* name;
  int width;  // floats of a vector
  void (*sums)(const FloatRowJob& job);
  // The same of kColumnBlocks times four outputs, whose lanes they are: for few pixels.
  void (*columns)(const FloatRowJob& job);
  // y[i] = fused(z[i], scale, 0) + shift for i < count, or z[i] where `isScaled` is false.
  void (*scale)(const float* z, int count, bool isScaled, float scale, float shift, float* y);
};

}  // namespace bnn
