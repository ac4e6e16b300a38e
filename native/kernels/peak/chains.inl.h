// Independent chains of multiply-adds in registers, of the instruction set that BNN_ISA names.
#pragma once

#include "simd/vec.h"

#include <cstdint>

namespace bnn {
namespace BNN_ISA {
namespace {

// More than latency times throughput of any processor, few enough to stay in registers.
constexpr int kChains = kRegisters == 32 ? 24 : 12;

// PeakRow::run of `step(sum, factor, term)`, which gives the next sum of a chain.
template <typename Step>
inline float run_chains(int64_t rounds, float start, Step step) {
  V sum[kChains];
  for (int i = 0; i < kChains; i++) sum[i] = splat(start + static_cast<float>(i));
  const V factor = splat(1.0f - start);
  const V term = splat(start);
  for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; i++) sum[i] = step(sum[i], factor, term);
  }
  for (int i = 1; i < kChains; i++) sum[0] += sum[i];
  return horizontal_sum(sum[0]);
}

}  // namespace
}  // namespace BNN_ISA
}  // namespace bnn
