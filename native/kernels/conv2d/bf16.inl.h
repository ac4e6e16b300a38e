// Pairs of bfloat16 and the transforms that write them, for any instruction set with products of pairs. Who includes this, with vec.h before it, has
//
//     V add_product(V sum, V x, V b)             adds to each float the two products of a pair of x and one of b
//     V both(V a, V b)                           the numbers of a, then those of b, rounded
//     V interleave(V a, V b)                     (a[i], b[i])
//     void store_half(float* p, V v, int count)  half a vector of pairs, the first `count` numbers of v
#pragma once

#include "kernels/conv2d/bf16.h"
#include "kernels/conv2d/chunk.inl.h"
#include "kernels/conv2d/winograd_tiles.inl.h"
#include "kernels/peak/chains.inl.h"

namespace bnn {
namespace BNN_ISA {
namespace {

void pair(const float* a, const float* b, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + W <= count; i += W) store(out + i, interleave(load(a + i), load(b + i)));
  if (i < count) {
    const int n = static_cast<int>(count - i);
    store_n(out + i, interleave(load_n(a + i, n), load_n(b + i, n)), n);
  }
}

void join(const float* x, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + W <= count; i += W) store(out + i, both(load(x + 2 * i), load(x + 2 * i + W)));
  const int64_t left = 2 * (count - i);
  if (left > 0) {
    const V low = load_some(x + 2 * i, static_cast<int>(left < W ? left : W));
    const V high = left > W ? load_n(x + 2 * i + W, static_cast<int>(left - W)) : zero();
    store_n(out + i, both(low, high), static_cast<int>(count - i));
  }
}

void input(const float* d, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride) {
  int64_t c = 0;
  for (; c + W <= channels; c += W)
    input_channels<true>(d + c, pitch, tiles, channels, W, spectrum + c / 2, plane, stride, store_half);
  if (c < channels) {
    input_channels<false>(d + c, pitch, tiles, channels, static_cast<int>(channels - c), spectrum + c / 2, plane, stride, store_half);
  }
}

// Two tiles side by side, or one and nothing.
template <bool kBoth>
inline void input_pair(const float* d, int64_t pitch, int64_t channels, int n, float* spectrum, int64_t plane) {
  V column[6][4];
#pragma GCC unroll 6
  for (int q = 0; q < (kBoth ? 6 : 4); q++) load_column(d + q * channels, pitch, n, column[q]);
#pragma GCC unroll 4
  for (int r = 0; r < 4; r++) {
    V left[4], right[4] = {zero(), zero(), zero(), zero()};
    winograd::input(column[0][r], column[1][r], column[2][r], column[3][r], left);
    if (kBoth) winograd::input(column[2][r], column[3][r], column[4][r], column[5][r], right);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) store_some(spectrum + (4 * r + c) * plane, interleave(left[c], right[c]), n);
  }
}

template <bool kBoth>
inline void output_grad_pair(const float* dy, int64_t pitch, int64_t channels, int n, float* spectrum, int64_t plane) {
  V left[4][4], right[4][4] = {};
  output_grad_tile(dy, pitch, channels, n, left);
  if (kBoth) output_grad_tile(dy + 2 * channels, pitch, channels, n, right);
#pragma GCC unroll 4
  for (int r = 0; r < 4; r++) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) store(spectrum + (4 * r + q) * plane, interleave(left[r][q], right[r][q]));
  }
}

// How many tiles there are side by side.
struct Two {
  static constexpr bool kBoth = true;
};
struct One {
  static constexpr bool kBoth = false;
};

// Tiles of a row, two by two, for a vector of channels after the other up to `end`: transform(tiles, data, channels of the vector, products).
template <typename Transform>
inline void in_pairs(const float* data, int64_t tiles, int64_t channels, int64_t end, float* spectrum, int64_t stride,
                     Transform transform) {
  for (int64_t c = 0; c < end; c += W) {
    const int n = channels - c < W ? static_cast<int>(channels - c) : W;
    const float* from = data + c;
    float* to = spectrum + c;
    int64_t t = 0;
    for (; t + 2 <= tiles; t += 2) {
      n == W ? transform(Two(), from, W, to) : transform(Two(), from, n, to);
      from += 4 * channels;
      to += stride;
    }
    if (t < tiles) transform(One(), from, n, to);
  }
}

void input_pairs(const float* d, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride) {
  in_pairs(d, tiles, channels, channels, spectrum, stride, [=](auto both, const float* from, int n, float* to) {
    input_pair<decltype(both)::kBoth>(from, pitch, channels, n, to, plane);
  });
}

void output_grad_pairs(const float* dy, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane,
                       int64_t stride) {
  in_pairs(dy, tiles, channels, stride, spectrum, stride, [=](auto both, const float* from, int n, float* to) {
    output_grad_pair<decltype(both)::kBoth>(from, pitch, channels, n, to, plane);
  });
}

float run_pairs(int64_t rounds, float start) {
  return run_chains(rounds, start, [](V sum, V factor, V term) { return add_product(sum, factor, term); });
}

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(Bf16Row, bf16_row) = {
    {4 * BNN_ISA::kChains * BNN_ISA::W, BNN_ISA::run_pairs},
    {BNN_ISA::W, BNN_ISA::kPanelVectors, BNN_ISA::forward, BNN_ISA::filter_grad},
    BNN_ISA::pair,
    BNN_ISA::join,
    BNN_ISA::input,
    BNN_ISA::input_pairs,
    BNN_ISA::output_grad_pairs,
};

}  // namespace bnn
