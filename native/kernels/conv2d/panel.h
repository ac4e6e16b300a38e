// Weights in the order in which the register tiles read them.
#pragma once

#include "kernels/conv2d/chunk.h"
#include "kernels/conv2d/windows.h"
#include "kernels/rounding.h"

#include <cstdint>

namespace bnn {

// Where weight (tap, k, column) of a group lies in the filter: tap · tap_stride + k · k_stride + column · column_stride + group · group_stride.
struct FilterView {
  const float* data;
  int64_t tap_stride, k_stride, column_stride;
  int64_t group_stride = 0;
};

// Least multiply-adds worth a piece of work.
constexpr int64_t kGrainWork = 100000;

// Copies the weights into column blocks in the order of the taps (see ForwardChunk), `columns` for each group, one group after the other.
// In thread 0's Slot::kPanel, on all threads.
float* pack_panel(const Windows& w, const FilterView& filter, int64_t groups, int64_t columns, const ConvRow& row);

}  // namespace bnn
