// Weights of a training step: floats in, because the optimizer changes them, so packing must cost little beside one convolution.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/binarize/dispatch.h"
#include "kernels/binary_conv/binary_conv.h"

namespace bnn {
namespace {

// Outputs packed together: a few cache lines of each row of the filter.
constexpr int64_t kBand = 256;

// 0 where all values are +1 or −1: those differ in the sign bit only.
uint32_t other_than_signs(const float* values, int64_t count) {
  uint32_t other = 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    other |= (bits & 0x7fffffffu) ^ 0x3f800000u;
  }
  return other;
}

// The outputs [begin, end) of pack_filter; false when one of their weights is not ±1.
bool pack_band(const BinaryConvShape& s, const float* filter, int64_t begin, int64_t end, BinaryWeights& weights) {
  const int count = static_cast<int>(end - begin);
  for (int64_t t = 0; t < s.taps(); t++) {
    for (int64_t c = 0; c < s.channels; c += 32) {
      const int channels = static_cast<int>(std::min<int64_t>(32, s.channels - c));
      const float* source = filter + (t * s.channels + c) * s.outputs + begin;
      uint32_t other = 0;
      for (int i = 0; i < channels; i++) other |= other_than_signs(source + i * s.outputs, count);
      if (other != 0) return false;
      uint32_t words[kBand];
      binarize_row().channels_first(source, kZeros, channels, s.outputs, count, words);
      const int64_t at = t * s.channels + c, word = at / 32, shift = at % 32;
      for (int i = 0; i < count; i++) {
        const int64_t o = begin + i;
        uint32_t* target = weights.words.data() + (o / kTileOutputs * weights.kStride + word) * kTileOutputs + o % kTileOutputs;
        *target |= words[i] << shift;
        if (shift + channels > 32) target[kTileOutputs] = words[i] >> (32 - shift);
        weights.tapSums[static_cast<size_t>(o * s.taps() + t)] += 2 * __builtin_popcount(words[i]) - channels;
      }
    }
  }
  return true;
}

}  // namespace

bool pack_filter(const BinaryConvShape& s, const float* filter, const Parallel& parallel, BinaryWeights& weights) {
  weights = empty_weights(s);
  const int64_t bands = (s.outputs + kBand - 1) / kBand;
  std::atomic<bool> isBinary{true};
  parallel_for(parallel, static_cast<size_t>(bands), [&](size_t band) {
    const int64_t begin = static_cast<int64_t>(band) * kBand;
    if (!pack_band(s, filter, begin, std::min(begin + kBand, s.outputs), weights)) isBinary.store(false, std::memory_order_relaxed);
  });
  if (!isBinary.load(std::memory_order_relaxed)) return false;
  add_triples(weights);
  return true;
}

}  // namespace bnn
