#include "kernels/copy/copy.h"

#include "threading/thread_pool.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace bnn {
namespace {

constexpr int64_t kGrain = 16384;
constexpr int64_t kTile = 16;  // floats per cache line

// The two inner dimensions: whole runs where both sides are contiguous, else tiles that use each cache line of both sides fully.
void copy_plane(const StridedCopy& c, const float* from, float* to) {
  const int64_t rows = c.size[2], columns = c.size[3];
  const int64_t fr = c.from_stride[2], fc = c.from_stride[3], tr = c.to_stride[2], tc = c.to_stride[3];
  if (fc == 1 && tc == 1) {
    for (int64_t i = 0; i < rows; i++) {
      std::memcpy(to + i * tr, from + i * fr, static_cast<size_t>(columns) * sizeof(float));
    }
    return;
  }
  for (int64_t i0 = 0; i0 < rows; i0 += kTile) {
    const int64_t i1 = std::min(i0 + kTile, rows);
    for (int64_t j0 = 0; j0 < columns; j0 += kTile) {
      const int64_t j1 = std::min(j0 + kTile, columns);
      for (int64_t i = i0; i < i1; i++) {
        for (int64_t j = j0; j < j1; j++) to[i * tr + j * tc] = from[i * fr + j * fc];
      }
    }
  }
}

// Joins a dimension with the one outside it where both sides walk through them as through one.
StridedCopy merged(StridedCopy c) {
  for (int d = 3; d > 0; d--) {
    for (;;) {
      const bool joins = c.from_stride[d - 1] == c.from_stride[d] * c.size[d] && c.to_stride[d - 1] == c.to_stride[d] * c.size[d];
      if (c.size[d - 1] == 1 || !joins) break;
      c.size[d] *= c.size[d - 1];
      for (int e = d - 1; e > 0; e--) {
        c.size[e] = c.size[e - 1];
        c.from_stride[e] = c.from_stride[e - 1];
        c.to_stride[e] = c.to_stride[e - 1];
      }
      c.size[0] = 1;
    }
  }
  return c;
}

}  // namespace

void strided_copy(const StridedCopy& copy, const float* from, float* to) {
  const StridedCopy c = merged(copy);
  const int64_t planes = c.size[0] * c.size[1];
  const int64_t plane = c.size[2] * c.size[3];
  if (planes * plane == 0) return;
  from += c.from_offset;
  to += c.to_offset;
  if (planes > 1) {
    parallel_for(planes, 1 + kGrain / plane, [&](int, int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; p++) {
        const int64_t i = p / c.size[1], j = p % c.size[1];
        copy_plane(c, from + i * c.from_stride[0] + j * c.from_stride[1], to + i * c.to_stride[0] + j * c.to_stride[1]);
      }
    });
    return;
  }
  // One plane: its rows, or the columns of a single row, are divided.
  const int d = c.size[2] > 1 ? 2 : 3;
  parallel_for(c.size[d], 1 + kGrain / (plane / c.size[d]), [&](int, int64_t begin, int64_t end) {
    StridedCopy part = c;
    part.size[d] = end - begin;
    copy_plane(part, from + begin * c.from_stride[d], to + begin * c.to_stride[d]);
  });
}

void fill(float* to, float value, int64_t count) {
  parallel_for(count, kGrain, [&](int, int64_t begin, int64_t end) { std::fill(to + begin, to + end, value); });
}

}  // namespace bnn
