#include "kernels/conv2d/bit_conv2d.h"

#include "kernels/binary_conv/binary_conv.h"
#include "threading/thread_pool.h"

#include <algorithm>
#include <vector>

namespace bnn {
namespace {

// Sums of fewer bits do not fill a word, and floats were faster (measured with every row of tiles on 1 to 8 channels).
constexpr int64_t kLeastBits = 32;

// The padding after the last row or column of the image, from the output size.
int64_t pad_end(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  return std::max<int64_t>(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - in - pad);
}

BinaryConvShape binary_shape(const Conv2dShape& s) {
  const int64_t bottom = pad_end(s.in_height, s.out_height, s.kernel_height, s.stride_height, s.dilation_height, s.pad_top);
  const int64_t right = pad_end(s.in_width, s.out_width, s.kernel_width, s.stride_width, s.dilation_width, s.pad_left);
  return {{s.kernel_height, s.kernel_width},
          {s.stride_height, s.stride_width},
          {s.pad_top, s.pad_left, bottom, right},
          {s.dilation_height, s.dilation_width},
          1,
          s.in_channels,
          s.out_channels};
}

}  // namespace

bool bit_conv2d(const Conv2dShape& s, const float* x, const float* filter, float* y) {
  const BinaryConvShape shape = binary_shape(s);
  if (s.pad_top < 0 || s.pad_left < 0 || shape.bits() < kLeastBits || shape.bits() > kMaxBits) return false;
  // A grid smaller than the image allows.
  if (shape.out_size(0, s.in_height) != s.out_height || shape.out_size(1, s.in_width) != s.out_width) return false;
  const Parallel parallel = pool_parallel();
  BinaryWeights weights;
  if (!pack_filter(shape, filter, parallel, weights)) return false;
  const BinaryConvPlan plan = plan_binary_conv(shape, weights, s.in_height, s.in_width);
  const std::vector<float> ones(static_cast<size_t>(weights.groupOutputs), 1.0f), zeros(ones.size());
  Epilogue sums{};
  sums.scale = ones.data();
  sums.bias = zeros.data();
  const BinaryConvCall call{s.batch, s.in_height, s.in_width, x, nullptr, sums, y, true};
  binary_conv(shape, weights, plan, call, parallel);
  return true;
}

}  // namespace bnn
