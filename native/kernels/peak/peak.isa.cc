#include "kernels/peak/peak.h"
#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace {

// Chains: more than latency times throughput of any processor, few enough to stay in registers.
constexpr int kChains = kRegisters == 32 ? 24 : 12;

float run(int64_t rounds, float start) {
  V sum[kChains];
  for (int i = 0; i < kChains; i++) sum[i] = splat(start + static_cast<float>(i));
  const V factor = splat(1.0f - start);
  const V term = splat(start);
  for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; i++) sum[i] = sum[i] * factor + term;
  }
  for (int i = 1; i < kChains; i++) sum[0] += sum[i];
  return horizontal_sum(sum[0]);
}

constexpr PeakRow kRow = {2 * kChains * W, run};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(PeakRow, peak_row) = BNN_ISA::kRow;

}  // namespace bnn
