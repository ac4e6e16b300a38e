#include "kernels/peak/peak.h"

#include "threading/thread_pool.h"

#include <algorithm>
#include <chrono>

namespace bnn {

double multiply_add_peak() {
  static constexpr KernelRow<PeakRow> table[] = BNN_ROWS(peak_row);
  const PeakRow& row = active_row(table);
  constexpr int64_t kRounds = 100000;
  const int threads = thread_count();
  double best = 0.0;
  for (int repeat = 0; repeat < 5; repeat++) {
    float results[kMaxThreads];
    const auto start = std::chrono::steady_clock::now();
    parallel_pieces(threads, threads, [&](int, int piece, int64_t, int64_t) { results[piece] = row.run(kRounds, 0.001f); });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    volatile float keep = results[0];
    (void)keep;
    best = std::max(best, static_cast<double>(row.flops_per_round * kRounds * threads) / seconds / 1e9);
  }
  return best;
}

}  // namespace bnn
