// Maximum and average pooling of NHWC tensors. Padding takes part neither in the maximum nor in the average.
#pragma once

#include "simd/isa.h"

#include <cstdint>

namespace bnn {

struct PoolShape {
  int64_t batch, in_height, in_width, channels;
  int64_t out_height, out_width;
  int64_t window_height, window_width, stride_height, stride_width;
  int64_t pad_top, pad_left;
};

// NaN anywhere in a window gives NaN. A window without any element gives −∞ and NaN respectively.
void max_pool(const PoolShape& shape, const float* x, float* y);
void avg_pool(const PoolShape& shape, const float* x, float* y);
// The gradient goes to the first maximum of a window in row order.
void max_pool_grad(const PoolShape& shape, const float* x, const float* dy, float* dx);
// dy / (elements inside the input) to each element of the window.
void avg_pool_grad(const PoolShape& shape, const float* dy, float* dx);

// Each on the images [begin, end).
struct PoolRow {
  void (*max)(const PoolShape&, const float* x, float* y, int64_t begin, int64_t end);
  void (*avg)(const PoolShape&, const float* x, float* y, int64_t begin, int64_t end);
  void (*max_grad)(const PoolShape&, const float* x, const float* dy, float* dx, int64_t begin, int64_t end);
  void (*avg_grad)(const PoolShape&, const float* dy, float* dx, int64_t begin, int64_t end);
};
BNN_DECLARE_ROWS(PoolRow, pool_row);

}  // namespace bnn
