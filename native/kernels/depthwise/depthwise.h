// Depthwise convolution of float32 tensors, channels last, and its gradients: output channel o reads input channel o / multiplier.
//
// Drivers (depthwise.cc) describe an output as rows of pixels that read the same taps of the window, so neither padding nor
// strides of a gradient cost a copy or a multiplication by zero; an instruction-set row computes one such run of pixels.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "simd/isa.h"

#include <cstdint>

namespace bnn {

// As conv2d_forward and its gradients, for groups == in_channels; filter f32[kernel_height][kernel_width][1][out_channels].
void depthwise_forward(const Conv2dShape& shape, const float* x, const float* filter, float* y);
void depthwise_input_grad(const Conv2dShape& shape, const float* dy, const float* filter, float* dx);
void depthwise_filter_grad(const Conv2dShape& shape, const float* x, const float* dy, float* dfilter);

// In floats: where a tap reads, from the pixel that a run begins with, and where its weights lie in the filter.
struct DepthwiseTap {
  int64_t input, filter;
};

// out[i][c] = Σ_taps in[i][tap.input + c] · filter[tap.filter + c] for pixels i < width; 0 without taps.
struct DepthwiseRun {
  const float* in;
  float* out;
  int64_t width;
  int64_t in_stride, out_stride;  // floats from pixel to pixel
  const DepthwiseTap* taps;
  int64_t tap_count;
  const float* filter;
  int64_t channels;
};

// Pixels of one row for the filter gradient.
struct DepthwisePixels {
  const float *x, *dy;
  int64_t width;
};

// sums[tap.filter + c] += Σ x[i][tap.input + c] · dy[i][c] over the pixels i of all rows, for every tap.
struct DepthwiseSums {
  const DepthwisePixels* rows;
  int64_t row_count;
  int64_t x_stride, dy_stride;  // floats from pixel to pixel
  const DepthwiseTap* taps;
  int64_t tap_count;
  float* sums;
  int64_t channels;
};

struct DepthwiseRow {
  void (*run)(const DepthwiseRun& run);
  void (*sums)(const DepthwiseSums& sums);
};
BNN_DECLARE_ROWS(DepthwiseRow, depthwise_row);

}  // namespace bnn
