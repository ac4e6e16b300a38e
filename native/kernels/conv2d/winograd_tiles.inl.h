// Walks over the tiles of a row of pictures in NHWC, a vector of channels at a time, for the instruction set of its compilation.
#pragma once

#include "simd/winograd.h"

namespace bnn {
namespace BNN_ISA {
namespace {

inline V load_some(const float* p, int count) { return count == W ? load(p) : load_n(p, count); }
inline void store_some(float* p, V v, int count) { count == W ? store(p, v) : store_n(p, v, count); }

// A column of a tile, transformed.
inline void load_column(const float* from, int64_t pitch, int n, V (&to)[4]) {
  winograd::input(load_some(from, n), load_some(from + pitch, n), load_some(from + 2 * pitch, n), load_some(from + 3 * pitch, n), to);
}

// Bᵀ d B of the tiles for a vector of channels, or the last `count`; of the 4 columns of a tile, two belong to the next one too and stay in
// registers. `put` gets the place and the numbers of one of the 16 products, and how many they are.
template <bool kWhole, typename Put>
inline void input_channels(const float* d, int64_t pitch, int64_t tiles, int64_t channels, int count, float* spectrum, int64_t plane,
                           int64_t stride, Put put) {
  const int n = kWhole ? W : count;
  V column[4][4];
  load_column(d, pitch, n, column[0]);
  load_column(d + channels, pitch, n, column[1]);
  for (int64_t t = 0; t < tiles; t++) {
    load_column(d + 2 * channels, pitch, n, column[2]);
    load_column(d + 3 * channels, pitch, n, column[3]);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      V s[4];
      winograd::input(column[0][r], column[1][r], column[2][r], column[3][r], s);
#pragma GCC unroll 4
      for (int c = 0; c < 4; c++) put(spectrum + (4 * r + c) * plane, s[c], n);
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      column[0][r] = column[2][r];
      column[1][r] = column[3][r];
    }
    d += 2 * channels;
    spectrum += stride;
  }
}

// A dy Aᵀ of one tile.
inline void output_grad_tile(const float* dy, int64_t pitch, int64_t channels, int n, V (&rows)[4][4]) {
  V left[4], right[4];
  winograd::output_grad(load_some(dy, n), load_some(dy + pitch, n), left);
  winograd::output_grad(load_some(dy + channels, n), load_some(dy + channels + pitch, n), right);
#pragma GCC unroll 4
  for (int r = 0; r < 4; r++) winograd::output_grad(left[r], right[r], rows[r]);
}

}  // namespace
}  // namespace BNN_ISA
}  // namespace bnn
