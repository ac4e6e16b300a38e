#include "kernels/peak/peak.h"

#include "kernels/peak/chains.inl.h"

namespace bnn {
namespace BNN_ISA {
namespace {

float run(int64_t rounds, float start) {
  return run_chains(rounds, start, [](V sum, V factor, V term) { return sum * factor + term; });
}

constexpr PeakRow kRow = {2 * kChains * W, run};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(PeakRow, peak_row) = BNN_ISA::kRow;

}  // namespace bnn
