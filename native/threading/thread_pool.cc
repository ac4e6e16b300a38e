#include "threading/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bnn {
namespace {

// How long a worker polls before it sleeps: longer than the JavaScript between two kernels, short enough not to burn a core.
constexpr int kSpinRounds = 20000;
constexpr int kPiecesPerThread = 4;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

struct Job {
  PieceFunction function;
  void* context;
  int64_t count;
  int pieces;
};

struct Block {
  void* data;
  size_t bytes;
};

constexpr std::align_val_t kLine{64};

void release(Block& block) {
  ::operator delete(block.data, kLine);
  block = Block{};
}

// Never destroyed: workers may be asleep in it when the process ends.
struct Pool {
  // Written by the caller while no piece is left, read by whoever has claimed a piece.
  Job job{};
  // Pieces of the job that nobody has claimed yet. The upper half counts jobs, so that a worker that was interrupted between
  // reading and claiming cannot claim a piece of a later job with what it read before.
  std::atomic<uint64_t> ticket{0};
  std::atomic<int> done{0};
  std::atomic<int> threads{1};
  std::atomic<bool> failed{false};
  std::atomic<int> sleepers{0};
  std::mutex sleep;
  std::condition_variable wake;
  int workers = 0;
  // The system would not start another worker.
  bool refused = false;
  Block blocks[kMaxThreads][kSlots] = {};
};

constexpr uint64_t kUnclaimed = 0xffffffffu;

Pool& pool() {
  static Pool* instance = new Pool();
  return *instance;
}

thread_local int thread_index = 0;
thread_local bool inside = false;

void run_piece(const Job& job, int piece) {
  const int64_t begin = job.count * piece / job.pieces;
  const int64_t end = job.count * (piece + 1) / job.pieces;
  if (begin >= end) return;
  try {
    job.function(job.context, thread_index, piece, begin, end);
  } catch (...) {
    pool().failed.store(true, std::memory_order_relaxed);
  }
}

// Claims and runs pieces until none is left.
void run_claimed(Pool& p) {
  uint64_t ticket = p.ticket.load(std::memory_order_acquire);
  while ((ticket & kUnclaimed) != 0) {
    if (!p.ticket.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    // The job is complete only after this piece, so it cannot change before `done` is counted up.
    run_piece(p.job, p.job.pieces - static_cast<int>(ticket & kUnclaimed));
    p.done.fetch_add(1, std::memory_order_acq_rel);
    ticket = p.ticket.load(std::memory_order_acquire);
  }
}

bool has_work(const Pool& p) {
  return (p.ticket.load() & kUnclaimed) != 0 && thread_index < p.threads.load(std::memory_order_relaxed);
}

void work(int index) {
  Pool& p = pool();
  thread_index = index;
  inside = true;
  for (;;) {
    for (int spins = 0; spins < kSpinRounds && !has_work(p); spins++) relax();
    if (!has_work(p)) {
      std::unique_lock<std::mutex> lock(p.sleep);
      p.sleepers.fetch_add(1);
      p.wake.wait(lock, [&] { return has_work(p); });
      p.sleepers.fetch_sub(1);
    }
    run_claimed(p);
  }
}

// The only failure of a piece is scratch memory that could not be had.
void throw_if_failed(Pool& p) {
  if (p.failed.exchange(false)) throw std::bad_alloc();
}

// As many workers as the system gives; once it has refused one, it is not asked again.
void ensure_workers(Pool& p, int wanted) {
  while (p.workers < wanted && !p.refused) {
    try {
      std::thread(work, p.workers + 1).detach();
      p.workers++;
    } catch (const std::exception&) {
      p.refused = true;
    }
  }
}

}  // namespace

int thread_count() { return pool().threads.load(std::memory_order_relaxed); }

void set_thread_count(int count) {
  const int clamped = count < 1 ? 1 : count > kMaxThreads ? kMaxThreads : count;
  pool().threads.store(clamped, std::memory_order_relaxed);
  pool().refused = false;
}

int start_threads() {
  Pool& p = pool();
  ensure_workers(p, thread_count() - 1);
  return std::min(p.workers + 1, thread_count());
}

int max_pieces() { return thread_count() == 1 ? 1 : kPiecesPerThread * thread_count(); }

int piece_count(int64_t count, int64_t grain, int limit) {
  const int64_t by_grain = count / (grain < 1 ? 1 : grain);
  const int64_t pieces = by_grain < limit ? by_grain : limit;
  return pieces < 1 ? 1 : static_cast<int>(pieces);
}

void run_pieces(int64_t count, int pieces, PieceFunction function, void* context) {
  Pool& p = pool();
  const Job job{function, context, count, pieces};
  if (pieces == 1 || inside || thread_count() == 1) {
    for (int i = 0; i < pieces; i++) run_piece(job, i);
    throw_if_failed(p);
    return;
  }
  ensure_workers(p, thread_count() - 1);
  p.job = job;
  p.done.store(0, std::memory_order_relaxed);
  const uint64_t generation = (p.ticket.load(std::memory_order_relaxed) >> 32) + 1;
  p.ticket.store(generation << 32 | static_cast<uint64_t>(pieces));
  if (p.sleepers.load() > 0) {
    { std::lock_guard<std::mutex> lock(p.sleep); }
    p.wake.notify_all();
  }
  inside = true;
  run_claimed(p);
  inside = false;
  for (int spins = 0; p.done.load(std::memory_order_acquire) != pieces; spins++) {
    if (spins < kSpinRounds) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
  throw_if_failed(p);
}

Parallel pool_parallel() {
  return {[](const void*, void (*fn)(void*, size_t), size_t total, void* data) {
            const int count = static_cast<int>(total);
            parallel_pieces(count, count, [&](int, int, int64_t begin, int64_t) { fn(data, static_cast<size_t>(begin)); });
          },
          nullptr};
}

void* scratch_bytes(int thread, Slot slot, size_t bytes) {
  Block& block = pool().blocks[thread][static_cast<int>(slot)];
  if (block.bytes < bytes || block.data == nullptr) {
    release(block);
    const size_t rounded = (bytes + 4096 + 63) / 64 * 64;
    block = Block{::operator new(rounded, kLine), rounded};
  }
  return block.data;
}

void release_scratch() {
  for (auto& slots : pool().blocks) {
    for (Block& block : slots) {
      release(block);
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
