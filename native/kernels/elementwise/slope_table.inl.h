#include "kernels/elementwise/slope_table.h"

namespace bnn {
namespace BNN_ISA {
namespace {

// Plain loops: compilers turn the two loads from the table into gathers where the instruction set has them.
void slope_table_range(const float* __restrict x, const float* __restrict dy, const SlopeTable& table, float* __restrict dx,
                       int64_t count) {
  const float* __restrict pieces = table.pieces;
  const float limit = table.limit;
  const float scale = static_cast<float>(table.cells) / limit;
  const int last = table.cells - 1;
  for (int64_t i = 0; i < count; i++) {
    const float v = x[i];
    const float a = v < 0.0f ? -v : v;
    const float inside = a <= limit ? a : limit;  // also for NaN, which may not be converted
    const float u = inside * scale;
    int k = static_cast<int>(u);
    k = k < last ? k : last;
    const float f = u - static_cast<float>(k);
    const float s = pieces[2 * k] + pieces[2 * k + 1] * f;
    const float beyond = v != v ? v : 0.0f;
    dx[i] = a <= limit ? dy[i] * s : beyond;
  }
}

constexpr SlopeTableRow kSlopeTableRow = {slope_table_range};

}  // namespace
}  // namespace BNN_ISA
}  // namespace bnn
