// Work is claimed, not dealt: each worker takes pieces until none is left. One thread then goes through them in order and can
// reuse what it has built for the piece before, and several threads finish together although nothing tells how many there are.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "threading/parallel.h"

namespace bnn {

// More than the threads that a single layer can occupy.
constexpr int64_t kMaxWorkers = 64;
// Work that is not worth waking another thread for, in vector operations of about a nanosecond.
constexpr int64_t kWorkOfThread = 8192;

// worker(claim) calls claim() for the index of its next piece, −1 when there is none. `work` is the sum over all pieces.
template <typename Worker>
void claim_all(const Parallel& parallel, int64_t pieces, int64_t work, const Worker& worker) {
  std::atomic<int64_t> next{0};
  const int64_t useful = std::min(pieces, std::max<int64_t>(1, work / kWorkOfThread));
  parallel_for(parallel, static_cast<size_t>(std::min(useful, kMaxWorkers)), [&](size_t) {
    worker([&]() {
      const int64_t piece = next.fetch_add(1, std::memory_order_relaxed);
      return piece < pieces ? piece : int64_t{-1};
    });
  });
}

}  // namespace bnn
