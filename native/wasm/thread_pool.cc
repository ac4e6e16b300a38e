// The thread pool of a module with threads (threading/thread_pool.h). JavaScript starts the workers: each makes an instance of the same
// module on the same memory, with a stack of its own, and calls `work`, which returns when the pool ends.
//
// Nobody waits for a worker that has not begun: the caller runs what is left itself, and waits only for pieces that others have begun.
#include "threading/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>

#include "memory/scratch_pool.h"
#include "threading/tickets.h"
#include "wasm/export.h"

extern "C" void __wasm_init_tls(void*);

namespace bnn {
namespace {

// Longer than the JavaScript between two kernels, short enough not to burn a core.
constexpr int kSpinRounds = 20000;
constexpr int kPiecesPerThread = 4;
constexpr size_t kStackBytes = 256 * 1024;
constexpr size_t kThreadLocalBytes = 64;
constexpr int64_t kMillisecond = 1000000;

struct Job {
  PieceFunction function;
  void* context;
  int64_t count;
  int pieces;
};

struct Pool {
  // Written by the caller while no piece is left, read by whoever has claimed a piece.
  Job job{};
  Tickets tickets;
  std::atomic<int> threads{1};
  // Workers that have begun, and those that may be inside a piece.
  std::atomic<int> joined{0};
  std::atomic<int> busy{0};
  // What workers sleep on: counted up whenever some are to wake.
  std::atomic<int> calls{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> caller_sleeps{false};
  std::atomic<bool> failed{false};
  std::atomic<bool> ended{false};
  // The main thread of a browser may not.
  bool caller_may_sleep = false;
  char* stacks[kMaxThreads] = {};
};
Pool pool;

thread_local int thread_index;
thread_local bool inside;
thread_local std::atomic<int> idle;
alignas(kThreadLocalBytes) char thread_locals[kMaxThreads][kThreadLocalBytes];

void set_up_thread(int index) {
  if (__builtin_wasm_tls_size() > kThreadLocalBytes) __builtin_trap();
  __wasm_init_tls(thread_locals[index]);
  thread_index = index;
  inside = index != 0;
}
// Of the thread that initializes the module.
__attribute__((constructor)) void set_up_caller() { set_up_thread(0); }

// WebAssembly has no instruction for it. An atomic addition to memory that no other thread has leaves the units of the core to its twin.
void relax() { idle.fetch_add(1); }

int* word(std::atomic<int>& value) { return reinterpret_cast<int*>(&value); }
void sleep_while(int* word, int value, int64_t nanoseconds) { __builtin_wasm_memory_atomic_wait32(word, value, nanoseconds); }
void wake_all(int* word) { __builtin_wasm_memory_atomic_notify(word, static_cast<unsigned>(kMaxThreads)); }

void run_piece(const Job& job, int piece) {
  const int64_t begin = job.count * piece / job.pieces;
  const int64_t end = job.count * (piece + 1) / job.pieces;
  if (begin < end) job.function(job.context, thread_index, piece, begin, end);
}

void run_claimed() {
  pool.tickets.claim_each([](int left) { run_piece(pool.job, pool.job.pieces - left); });
}

bool has_work() { return pool.ended || (pool.tickets.any() && thread_index < pool.threads); }

void wake_workers() {
  if (pool.sleepers == 0) return;
  pool.calls++;
  wake_all(word(pool.calls));
}

void await_work() {
  for (int spins = 0; spins < kSpinRounds; spins++) {
    if (has_work()) return;
    relax();
  }
  pool.sleepers++;
  for (;;) {
    const int calls = pool.calls;
    if (has_work()) break;
    sleep_while(word(pool.calls), calls, -1);
  }
  pool.sleepers--;
}

// Of a worker, after its pieces.
void leave() {
  pool.busy--;
  if (!pool.caller_sleeps) return;
  wake_all(pool.tickets.done_word());
  wake_all(word(pool.busy));
}

// Until `is_over`, which a change of *word may bring about. The time is for nothing but a worker that was ended from outside.
template <typename IsOver>
void await(int* word, const IsOver& is_over) {
  for (int spins = 0; spins < kSpinRounds; spins++) {
    if (is_over()) return;
    relax();
  }
  pool.caller_sleeps = true;
  for (;;) {
    const int value = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    if (is_over()) break;
    if (pool.caller_may_sleep) {
      sleep_while(word, value, 100 * kMillisecond);
    } else {
      relax();
    }
  }
  pool.caller_sleeps = false;
}

}  // namespace

int thread_count() { return pool.threads; }
void set_thread_count(int count) { pool.threads = std::clamp(count, 1, kMaxThreads); }
int start_threads() { return std::min(pool.joined + 1, thread_count()); }
int max_pieces() { return thread_count() == 1 ? 1 : kPiecesPerThread * thread_count(); }

void run_pieces(int64_t count, int pieces, PieceFunction function, void* context) {
  const Job job{function, context, count, pieces};
  if (pieces == 1 || inside || pool.joined == 0 || thread_count() == 1) {
    for (int i = 0; i < pieces; i++) run_piece(job, i);
    return;
  }
  pool.job = job;
  pool.tickets.open(pieces);
  wake_workers();
  inside = true;
  run_claimed();
  inside = false;
  await(pool.tickets.done_word(), [&] { return pool.tickets.done() == pieces; });
  if (pool.failed.exchange(false)) __builtin_trap();
}

Parallel pool_parallel() {
  return {[](const void*, void (*fn)(void*, size_t), size_t total, void* data) {
            const int count = static_cast<int>(total);
            parallel_pieces(count, std::min(count, max_pieces()), [&](int, int, int64_t begin, int64_t end) {
              for (int64_t i = begin; i < end; i++) fn(data, static_cast<size_t>(i));
            });
          },
          nullptr};
}

}  // namespace bnn

using namespace bnn;

BNN_EXPORT("setThreads") void bnn_set_threads(int count, int callerMaySleep) {
  set_thread_count(count);
  pool.caller_may_sleep = callerMaySleep != 0;
}

// The stack of worker `index` ≥ 1, by its upper end; null when there is no memory left.
BNN_EXPORT("threadStack") char* bnn_thread_stack(int index) {
  // So that no worker makes the pool of blocks or its list.
  Scratch{64};
  char*& stack = pool.stacks[index];
  if (stack == nullptr) stack = static_cast<char*>(::operator new (kStackBytes, std::align_val_t{64}, std::nothrow));
  return stack == nullptr ? nullptr : stack + kStackBytes;
}

// What worker `index` does until the pool ends.
BNN_EXPORT("work") void bnn_work(int index) {
  set_up_thread(index);
  pool.joined++;
  wake_all(word(pool.joined));
  for (;;) {
    await_work();
    if (pool.ended) return;
    pool.busy++;
    run_claimed();
    leave();
  }
}

// A piece of a worker trapped: nobody may wait for it. The worker calls `work` again afterwards.
BNN_EXPORT("workFailed") void bnn_work_failed() {
  pool.failed = true;
  pool.joined--;
  pool.tickets.count_done();
  leave();
}

// Waits until so many workers have begun, at most so long; returns how many have.
BNN_EXPORT("awaitThreads") int bnn_await_threads(int count, int milliseconds) {
  const int joined = pool.joined;
  if (joined < count) sleep_while(word(pool.joined), joined, milliseconds * kMillisecond);
  return pool.joined;
}

// After a trap of the caller: nobody works on its job any more.
BNN_EXPORT("abandon") void bnn_abandon() {
  pool.tickets.close();
  inside = false;
  await(word(pool.busy), [] { return pool.busy == 0; });
  pool.failed = false;
}

BNN_EXPORT("endThreads") void bnn_end_threads() {
  pool.ended = true;
  wake_workers();
}
