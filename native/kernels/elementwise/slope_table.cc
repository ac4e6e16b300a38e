#include "kernels/elementwise/slope_table.h"

#include "threading/thread_pool.h"

namespace bnn {
namespace {

constexpr int64_t kGrain = 8192;  // elements worth a thread

}  // namespace

const SlopeTableRow& slope_table_row() {
  static constexpr KernelRow<SlopeTableRow> table[] = BNN_ROWS(slope_table_row);
  return active_row(table);
}

void sign_grad_table(const float* x, const float* dy, const SlopeTable& table, float* dx, int64_t count) {
  const SlopeTableRow& row = slope_table_row();
  parallel_for(count, kGrain,
               [&](int, int64_t begin, int64_t end) { row.apply(x + begin, dy + begin, table, dx + begin, end - begin); });
}

}  // namespace bnn
