// Packs signs of floats into words of 32 bits: bit 1 where x >= 0 (so for −0, not for NaN), as in src/core/numbers/bits.ts, or where x is
// at least another threshold.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bnn {

// Thresholds of the sign itself.
inline constexpr float kZeros[32] = {};

struct BinarizeRow {
  const char* name;
  // words[p] bit c = x[c · stride + p] >= least[c] for c < channels, p < pixels; bits from `channels` on are 0.
  // 1 <= channels <= 32. Nothing outside of x, least[0 … channels) and words is touched.
  void (*channels_first)(const float* x, const float* least, int channels, ptrdiff_t stride, int pixels, uint32_t* words);
  // words[p] bit c = x[p · stride + c] >= 0, likewise.
  void (*channels_last)(const float* x, int channels, ptrdiff_t stride, int pixels, uint32_t* words);
  // words[i / 32] bit i % 32 = x[i] >= 0 for i < count; the pad bits of the last word are 0.
  void (*row)(const float* x, int64_t count, uint32_t* words);
  // y[i] = x[i] >= 0 ? 1 : −1 for i < count.
  void (*sign)(const float* x, int64_t count, float* y);
};

}  // namespace bnn
