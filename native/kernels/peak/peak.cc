#include "kernels/peak/peak.h"

#include "threading/thread_pool.h"

#include <algorithm>
#include <chrono>

namespace bnn {
namespace {

constexpr double kClearly = 1.25;

// flop/s of `work`, which does so many.
template <typename Work>
double rate_of(int64_t flops, Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return static_cast<double>(flops) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

const PeakRow& active_peak_row() {
  static constexpr KernelRow<PeakRow> table[] = BNN_ROWS(peak_row);
  return active_row(table);
}

double multiply_add_peak() {
  const PeakRow& row = active_peak_row();
  constexpr int64_t kRounds = 100000;
  const int threads = thread_count();
  double best = 0.0;
  for (int repeat = 0; repeat < 5; repeat++) {
    float results[kMaxThreads];
    best = std::max(best, rate_of(row.flops_per_round * kRounds * threads, [&] {
                      parallel_pieces(threads, threads,
                                      [&](int, int piece, int64_t, int64_t) { results[piece] = row.run(kRounds, 0.001f); });
                    }));
    volatile float keep = results[0];
    (void)keep;
  }
  return best / 1e9;
}

bool is_clearly_faster(const PeakRow& row, const PeakRow& other) {
  constexpr int64_t kRounds = 1000;
  double best = 0.0, best_other = 0.0;
  volatile float keep = 0.0f;
  for (int turn = 0; turn < 20; turn++) {
    best = std::max(best, rate_of(row.flops_per_round * kRounds, [&] { keep = row.run(kRounds, 0.001f); }));
    best_other = std::max(best_other, rate_of(other.flops_per_round * kRounds, [&] { keep = other.run(kRounds, 0.001f); }));
  }
  (void)keep;
  return best > kClearly * best_other;
}

}  // namespace bnn
