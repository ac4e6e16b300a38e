#include "kernels/conv2d/conv2d.h"

#include <cstddef>
#include <vector>

namespace bnn {
namespace {

// Calls visit(x index, filter index, y index) for every multiply-add of the convolution.
template <typename Visit>
void for_each_product(const Conv2dShape& s, Visit&& visit) {
  const int64_t inputs = s.in_channels / s.groups, outputs = s.out_channels / s.groups;
  for (int64_t n = 0; n < s.batch; n++) {
    for (int64_t p = 0; p < s.out_height; p++) {
      for (int64_t q = 0; q < s.out_width; q++) {
        for (int64_t r = 0; r < s.kernel_height; r++) {
          for (int64_t t = 0; t < s.kernel_width; t++) {
            const int64_t h = p * s.stride_height + r * s.dilation_height - s.pad_top;
            const int64_t w = q * s.stride_width + t * s.dilation_width - s.pad_left;
            if (h < 0 || h >= s.in_height || w < 0 || w >= s.in_width) continue;
            for (int64_t c = 0; c < inputs; c++) {
              for (int64_t o = 0; o < s.out_channels; o++) {
                visit(((n * s.in_height + h) * s.in_width + w) * s.in_channels + o / outputs * inputs + c,
                      ((r * s.kernel_width + t) * inputs + c) * s.out_channels + o,
                      ((n * s.out_height + p) * s.out_width + q) * s.out_channels + o);
              }
            }
          }
        }
      }
    }
  }
}

void narrow(const std::vector<double>& from, float* to) {
  for (size_t i = 0; i < from.size(); i++) to[i] = static_cast<float>(from[i]);
}

}  // namespace

void conv2d_forward_reference(const Conv2dShape& s, const float* x, const float* filter, float* y) {
  std::vector<double> sums(static_cast<size_t>(s.batch * s.out_height * s.out_width * s.out_channels));
  for_each_product(s, [&](int64_t i, int64_t f, int64_t o) { sums[o] += static_cast<double>(x[i]) * filter[f]; });
  narrow(sums, y);
}

void conv2d_input_grad_reference(const Conv2dShape& s, const float* dy, const float* filter, float* dx) {
  std::vector<double> sums(static_cast<size_t>(s.batch * s.in_height * s.in_width * s.in_channels));
  for_each_product(s, [&](int64_t i, int64_t f, int64_t o) { sums[i] += static_cast<double>(dy[o]) * filter[f]; });
  narrow(sums, dx);
}

void conv2d_filter_grad_reference(const Conv2dShape& s, const float* x, const float* dy, float* dfilter) {
  std::vector<double> sums(static_cast<size_t>(s.kernel_height * s.kernel_width * s.in_channels / s.groups * s.out_channels));
  for_each_product(s, [&](int64_t i, int64_t f, int64_t o) { sums[f] += static_cast<double>(x[i]) * dy[o]; });
  narrow(sums, dfilter);
}

}  // namespace bnn
