// Moving float32 elements: slices, paddings, transpositions and concatenations are all one strided copy.
#pragma once

#include <cstdint>

namespace bnn {

// to[to_offset + Σ i_d · to_stride_d] = from[from_offset + Σ i_d · from_stride_d] for all i < size. Offsets and strides in elements;
// those of `from` may be negative.
struct StridedCopy {
  int64_t size[4];
  int64_t from_stride[4], to_stride[4];
  int64_t from_offset, to_offset;
};

void strided_copy(const StridedCopy& copy, const float* from, float* to);
void fill(float* to, float value, int64_t count);

}  // namespace bnn
