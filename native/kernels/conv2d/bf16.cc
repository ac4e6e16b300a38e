#include "kernels/conv2d/bf16.h"

#include "kernels/conv2d/panel.h"
#include "kernels/elementwise/elementwise.h"
#include "threading/thread_pool.h"

#include <algorithm>

namespace bnn {

#if defined(__x86_64__)
extern const Bf16Row bf16_row_avx512bf16;
const Bf16Row* bf16_row() { return fits(needs_of(Isa::avx512bf16), needs_of(active_isa())) ? &bf16_row_avx512bf16 : nullptr; }
#elif defined(__aarch64__)
extern const Bf16Row bf16_row_neonbf16;
const Bf16Row* bf16_row() { return fits(needs_of(Isa::neonbf16), needs_of(active_isa())) ? &bf16_row_neonbf16 : nullptr; }
#else
const Bf16Row* bf16_row() { return nullptr; }
#endif

bool is_bf16_faster() {
  const Bf16Row* row = bf16_row();
  return row != nullptr && is_clearly_faster(row->peak, active_peak_row());
}

Form form_of(Precision precision, int64_t channels, bool is_sum_over_channels) {
  if (precision == Precision::kFloat32) return Form::kFloats;
  if (bf16_row() == nullptr || (is_sum_over_channels && channels % 2 != 0)) return Form::kRounded;
  return is_sum_over_channels ? Form::kChannelPairs : Form::kPixelPairs;
}

void round_to_bf16(float* x, int64_t count) { elementwise_row().unary(UnaryOp::kBf16, x, 0.0f, x, count); }

const float* pair_panels(const float* panels, int64_t count, int64_t depth, int64_t columns, const ConvRow& row) {
  const int64_t block = static_cast<int64_t>(row.vector) * row.panel_vectors;
  const int64_t plane = depth * round_up(columns, row.vector), blocks = (columns + block - 1) / block;
  float* pairs = scratch<float>(0, Slot::kPairs, count * plane / 2);
  parallel_for(count * blocks, std::max<int64_t>(1, kGrainWork / std::max<int64_t>(1, depth * block)),
               [&](int, int64_t begin, int64_t end) {
                 for (int64_t b = begin; b < end; b++) {
                   const int64_t first = b % blocks * block, width = round_up(std::min(block, columns - first), row.vector);
                   const float* from = panels + b / blocks * plane + first * depth;
                   float* to = pairs + b / blocks * (plane / 2) + first * (depth / 2);
                   for (int64_t k = 0; k < depth; k += 2)
                     bf16_row()->pair(from + k * width, from + (k + 1) * width, width, to + k / 2 * width);
                 }
               });
  return pairs;
}

}  // namespace bnn
