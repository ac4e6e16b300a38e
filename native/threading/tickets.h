// The pieces of one job after another, claimed by whichever thread comes first.
#pragma once

#include <atomic>
#include <cstdint>

namespace bnn {

class Tickets {
 public:
  // A job of `pieces`; every piece of the one before is done.
  void open(int pieces) {
    done_.store(0, std::memory_order_relaxed);
    const uint64_t job = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(job << 32 | static_cast<uint64_t>(pieces));
  }

  // Whether a piece is unclaimed.
  bool any() const { return (ticket_.load() & kUnclaimed) != 0; }

  // run(left) for one piece after another until none is unclaimed; `left` counts those that were, this one included.
  template <typename Run>
  void claim_each(const Run& run) {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while ((ticket & kUnclaimed) != 0) {
      if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      run(static_cast<int>(ticket & kUnclaimed));
      count_done();
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }

  // A job is complete when all its pieces are; what describes it cannot change before.
  void count_done() { done_.fetch_add(1, std::memory_order_acq_rel); }
  int done() const { return done_.load(std::memory_order_acquire); }
  // Where `done` lies, for who waits until it changes.
  int* done_word() { return reinterpret_cast<int*>(&done_); }

  // Nobody claims what is unclaimed.
  void close() { ticket_.fetch_and(~kUnclaimed); }

 private:
  static constexpr uint64_t kUnclaimed = 0xffffffffu;

  // Unclaimed pieces. The upper half counts jobs, so that a thread that was interrupted between reading and claiming cannot claim a
  // piece of a later job with what it read before.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<int> done_{0};
};

}  // namespace bnn
