#include "kernels/conv2d/panel.h"

#include "threading/thread_pool.h"

#include <algorithm>
#include <cstring>

namespace bnn {

float* pack_panel(const Windows& w, const FilterView& filter, int64_t groups, int64_t columns, const ConvRow& row) {
  const int64_t block = static_cast<int64_t>(row.vector) * row.panel_vectors;
  const int64_t panel_floats = w.weights() * round_up(columns, row.vector);
  float* panel = scratch<float>(0, Slot::kPanel, groups * panel_floats);
  const int64_t blocks = (columns + block - 1) / block;
  const int64_t grain = std::max<int64_t>(1, kGrainWork / std::max<int64_t>(1, w.weights() * block));
  parallel_for(groups * blocks, grain, [&](int, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) {
      const int64_t group = b / blocks;
      const int64_t first = (b - group * blocks) * block;
      const int64_t used = std::min(block, columns - first);
      const int64_t width = round_up(used, row.vector);
      float* to = panel + group * panel_floats + first * w.weights();
      for (const Tap& tap : w.taps) {
        const float* from =
            filter.data + group * filter.group_stride + tap.filter_index * filter.tap_stride + first * filter.column_stride;
        if (filter.column_stride == 1) {
          for (int64_t k = 0; k < w.channels; k++) {
            std::memcpy(to + k * width, from + k * filter.k_stride, static_cast<size_t>(used) * sizeof(float));
            std::memset(to + k * width + used, 0, static_cast<size_t>(width - used) * sizeof(float));
          }
        } else {
          for (int64_t k0 = 0; k0 < w.channels; k0 += 16) {
            const int64_t k1 = std::min(k0 + 16, w.channels);
            for (int64_t j = 0; j < width; j++) {
              for (int64_t k = k0; k < k1; k++) {
                to[k * width + j] = j < used ? from[k * filter.k_stride + j * filter.column_stride] : 0.0f;
              }
            }
          }
        }
        to += w.channels * width;
      }
    }
  });
  return panel;
}

}  // namespace bnn
