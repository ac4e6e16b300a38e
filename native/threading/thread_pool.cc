#include "threading/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#include "threading/tickets.h"

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

// Never destroyed: workers may be asleep in it when the process ends.
struct Pool {
  // Written by the caller while no piece is left, read by whoever has claimed a piece.
  Job job{};
  Tickets tickets;
  std::atomic<int> threads{1};
  std::atomic<bool> failed{false};
  std::atomic<int> sleepers{0};
  std::mutex sleep;
  std::condition_variable wake;
  int workers = 0;
  // The system would not start another worker.
  bool refused = false;
};

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
  p.tickets.claim_each([&](int left) { run_piece(p.job, p.job.pieces - left); });
}

bool has_work(const Pool& p) { return p.tickets.any() && thread_index < p.threads.load(std::memory_order_relaxed); }

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
  p.tickets.open(pieces);
  if (p.sleepers.load() > 0) {
    { std::lock_guard<std::mutex> lock(p.sleep); }
    p.wake.notify_all();
  }
  inside = true;
  run_claimed(p);
  inside = false;
  for (int spins = 0; p.tickets.done() != pieces; spins++) {
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

}  // namespace bnn
