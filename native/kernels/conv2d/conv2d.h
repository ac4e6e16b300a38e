// Two-dimensional convolution of float32 tensors and its gradients.
#pragma once

#include "kernels/elementwise/elementwise.h"

#include <cstdint>

namespace bnn {

// What is multiplied: floats, or floats rounded to bfloat16 (8 bits of significand), a relative error of 2^-8 at most. Sums are of floats.
enum class Precision { kFloat32 = 0, kBf16 = 1 };

// x f32[batch][in_height][in_width][in_channels], filter f32[kernel_height][kernel_width][in_channels / groups][out_channels],
// y f32[batch][out_height][out_width][out_channels]. Padding is zeros; the bottom and right padding follow from the output size.
// With groups, each g-th part of the output channels reads the g-th part of the input channels; they divide both.
struct Conv2dShape {
  int64_t batch, in_height, in_width, in_channels;
  int64_t kernel_height, kernel_width, out_channels;
  int64_t out_height, out_width;
  int64_t stride_height, stride_width, dilation_height, dilation_width;
  int64_t pad_top, pad_left;
  int64_t groups = 1;
  // With groups floats are multiplied all the same, and forward where x is binarized.
  Precision precision = Precision::kFloat32;
};

// y[n][p][q][o] = Σ_{r,s,c} x[n][p·stride + r·dilation − pad][...][c] · filter[r][s][c][o], c over the channels of o's group.
// Sums of ±1 products are exact: every partial sum is an integer below 2^24.
void conv2d_forward(const Conv2dShape& shape, const float* x, const float* filter, float* y);

// The same of sign(x) (+1 at 0, −1 for NaN; the padding stays 0), without a tensor of signs and without groups. Forward, where the filter is ±1 too,
// bits are counted instead of floats multiplied: the same sums.
void binary_conv2d_forward(const Conv2dShape& shape, const float* x, const float* filter, float* y);
void binary_conv2d_filter_grad(const Conv2dShape& shape, const float* x, const float* dy, float* dfilter);
// dx = s(x) · ∂L/∂sign(x) + sum, s from `gradient`; sum may be null.
void binary_conv2d_input_grad(const Conv2dShape& shape, const float* dy, const float* filter, const float* x,
                              const SignGradient& gradient, const float* sum, float* dx);

// dx = ∂L/∂x for dy = ∂L/∂y.
void conv2d_input_grad(const Conv2dShape& shape, const float* dy, const float* filter, float* dx);

// dfilter = ∂L/∂filter.
void conv2d_filter_grad(const Conv2dShape& shape, const float* x, const float* dy, float* dfilter);

// The same, one multiply-add at a time in double; for tests.
void conv2d_forward_reference(const Conv2dShape& shape, const float* x, const float* filter, float* y);
void conv2d_input_grad_reference(const Conv2dShape& shape, const float* dy, const float* filter, float* dx);
void conv2d_filter_grad_reference(const Conv2dShape& shape, const float* x, const float* dy, float* dfilter);

// C[m][n] = Σ_k A(m, k) · B(k, n), C row-major; A is stored [m][k] or, transposed, [k][m]; B [k][n] or, transposed, [n][k].
void matmul(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b, const float* a, const float* b, float* c);

}  // namespace bnn
