#include "threading/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bnn {
namespace {

constexpr int kSlots = 6;
// How long a worker polls before it sleeps: longer than the JavaScript between two kernels, short enough not to burn a core.
constexpr int kSpinRounds = 20000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

struct Job {
  RangeFunction function;
  void* context;
  int64_t count;
  int ranges;
};

struct Block {
  void* data;
  size_t bytes;
};

// Never destroyed: workers may be asleep in it when the process ends.
struct Pool {
  std::mutex sleep;
  std::condition_variable wake;
  Job job{};
  std::atomic<uint64_t> generation{0};
  std::atomic<int> pending{0};
  std::atomic<int> threads{1};
  std::atomic<bool> failed{false};
  int workers = 0;
  Block blocks[kMaxThreads][kSlots] = {};
};

Pool& pool() {
  static Pool* instance = new Pool();
  return *instance;
}

thread_local bool inside = false;

void run_range(const Job& job, int index) {
  const int64_t begin = job.count * index / job.ranges;
  const int64_t end = job.count * (index + 1) / job.ranges;
  if (begin >= end) return;
  try {
    job.function(job.context, index, begin, end);
  } catch (...) {
    pool().failed.store(true, std::memory_order_relaxed);
  }
}

void work(int index, uint64_t seen) {
  Pool& p = pool();
  inside = true;
  for (;;) {
    int spins = 0;
    while (p.generation.load(std::memory_order_acquire) == seen) {
      if (++spins < kSpinRounds) {
        relax();
        continue;
      }
      std::unique_lock<std::mutex> lock(p.sleep);
      p.wake.wait(lock, [&] { return p.generation.load(std::memory_order_acquire) != seen; });
    }
    seen = p.generation.load(std::memory_order_acquire);
    // Every worker reports, also those without a range: only then may the next job be written.
    if (index < p.job.ranges) run_range(p.job, index);
    p.pending.fetch_sub(1, std::memory_order_acq_rel);
  }
}

// The only failure of a range is scratch memory that could not be had.
void throw_if_failed(Pool& p) {
  if (p.failed.exchange(false)) throw std::bad_alloc();
}

void ensure_workers(Pool& p, int wanted) {
  while (p.workers < wanted) {
    const uint64_t seen = p.generation.load(std::memory_order_acquire);
    std::thread(work, p.workers + 1, seen).detach();
    p.workers++;
  }
}

}  // namespace

int thread_count() { return pool().threads.load(std::memory_order_relaxed); }

void set_thread_count(int count) {
  const int clamped = count < 1 ? 1 : count > kMaxThreads ? kMaxThreads : count;
  pool().threads.store(clamped, std::memory_order_relaxed);
}

int range_count(int64_t count, int64_t grain) {
  const int64_t by_grain = count / (grain < 1 ? 1 : grain);
  const int64_t ranges = by_grain < thread_count() ? by_grain : thread_count();
  return ranges < 1 ? 1 : static_cast<int>(ranges);
}

int parallel_ranges(int64_t count, int64_t grain, RangeFunction function, void* context) {
  Pool& p = pool();
  const Job job{function, context, count, range_count(count, grain)};
  if (job.ranges == 1 || inside) {
    for (int i = 0; i < job.ranges; i++) run_range(job, i);
    throw_if_failed(p);
    return job.ranges;
  }
  ensure_workers(p, job.ranges - 1);
  p.job = job;
  p.pending.store(p.workers, std::memory_order_release);
  {
    std::lock_guard<std::mutex> lock(p.sleep);
    p.generation.fetch_add(1, std::memory_order_acq_rel);
  }
  p.wake.notify_all();
  inside = true;
  run_range(job, 0);
  inside = false;
  int spins = 0;
  while (p.pending.load(std::memory_order_acquire) != 0) {
    if (++spins < kSpinRounds) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
  throw_if_failed(p);
  return job.ranges;
}

void* scratch_bytes(int thread, Slot slot, size_t bytes) {
  Block& block = pool().blocks[thread][static_cast<int>(slot)];
  if (block.bytes < bytes || block.data == nullptr) {
    std::free(block.data);
    block = Block{};
    const size_t rounded = (bytes + 4096 + 63) / 64 * 64;
    void* data = nullptr;
    if (posix_memalign(&data, 64, rounded) != 0) throw std::bad_alloc();
    block = Block{data, rounded};
  }
  return block.data;
}

void release_scratch() {
  for (auto& slots : pool().blocks) {
    for (Block& block : slots) {
      std::free(block.data);
      block = Block{};
    }
  }
}

size_t scratch_total_bytes() {
  size_t total = 0;
  for (const auto& slots : pool().blocks) {
    for (const Block& block : slots) total += block.bytes;
  }
  return total;
}

}  // namespace bnn
