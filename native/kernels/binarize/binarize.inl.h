// Plain loops, which the compiler vectorizes for the instruction set of the including file (macro BNN_ISA).
#pragma once

#include "kernels/binarize/binarize.h"

namespace bnn {
namespace BNN_ISA {

static void channels_first(const float* x, const float* least, int channels, ptrdiff_t stride, int pixels, uint32_t* words) {
  constexpr int kChunk = 32;
  int begin = 0;
  for (; begin + kChunk <= pixels; begin += kChunk) {
    uint32_t chunk[kChunk] = {0};
    for (int c = 0; c < channels; c++) {
      const float* source = x + c * stride + begin;
      const float threshold = least[c];
      const uint32_t bit = uint32_t{1} << c;
      for (int p = 0; p < kChunk; p++) chunk[p] |= source[p] >= threshold ? bit : 0u;
    }
    for (int p = 0; p < kChunk; p++) words[begin + p] = chunk[p];
  }
  for (int p = begin; p < pixels; p++) {
    uint32_t word = 0;
    for (int c = 0; c < channels; c++) word |= (x[c * stride + p] >= least[c] ? uint32_t{1} : 0u) << c;
    words[p] = word;
  }
}

[[maybe_unused]] static void channels_last(const float* x, int channels, ptrdiff_t stride, int pixels, uint32_t* words) {
  for (int p = 0; p < pixels; p++, x += stride) {
    uint32_t word = 0;
    for (int c = 0; c < channels; c++) word |= (x[c] >= 0.0f ? uint32_t{1} : 0u) << c;
    words[p] = word;
  }
}

static void row(const float* x, int64_t count, uint32_t* words) {
  for (int64_t i = 0; i < count; i += 32) {
    const int bits = count - i < 32 ? static_cast<int>(count - i) : 32;
    uint32_t word = 0;
    for (int b = 0; b < bits; b++) word |= (x[i + b] >= 0.0f ? uint32_t{1} : 0u) << b;
    words[i / 32] = word;
  }
}

static void sign(const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; i++) y[i] = x[i] >= 0.0f ? 1.0f : -1.0f;
}

}  // namespace BNN_ISA
}  // namespace bnn
