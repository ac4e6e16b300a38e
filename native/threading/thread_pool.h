// Persistent worker threads and per-thread scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "threading/parallel.h"

namespace bnn {

// Threads that work is divided among, the calling one included. At least 1; at most kMaxThreads.
constexpr int kMaxThreads = 64;
int thread_count();
void set_thread_count(int count);
// Starts those that are not there yet, and returns how many there are: fewer than set where the system refuses more. They do the same
// work to the same bits, later.
int start_threads();

using PieceFunction = void (*)(void* context, int thread, int piece, int64_t begin, int64_t end);

// Most pieces that work is cut into: several per thread, so that a thread that the system interrupts does not hold up the others.
int max_pieces();

// The number of pieces of [0, count) with at least `grain` items each (one piece may have fewer when count is small), at most `limit`.
inline int piece_count(int64_t count, int64_t grain, int limit) {
  const int64_t by_grain = count / (grain < 1 ? 1 : grain);
  const int64_t pieces = by_grain < limit ? by_grain : limit;
  return pieces < 1 ? 1 : static_cast<int>(pieces);
}

// Cuts [0, count) into `pieces` contiguous ranges of nearly equal size and runs function(context, thread, piece, begin, end) for
// each, on as many threads as set. The cut depends on the arguments only, never on timing; which thread runs a piece does. So sums
// kept per piece come out the same every time, and `thread` is only good for finding scratch memory. A call from inside a piece
// runs serially. Callers on different threads must take turns (the Node binding holds one lock per kernel). Throws std::bad_alloc
// when a piece did.
void run_pieces(int64_t count, int pieces, PieceFunction function, void* context);

// body(thread, piece, begin, end) for each piece.
template <typename Body>
void parallel_pieces(int64_t count, int pieces, Body&& body) {
  auto trampoline = [](void* context, int thread, int piece, int64_t begin, int64_t end) {
    (*static_cast<Body*>(context))(thread, piece, begin, end);
  };
  run_pieces(count, pieces, trampoline, const_cast<void*>(static_cast<const void*>(&body)));
}

// body(thread, begin, end): for work whose result does not depend on the cut.
template <typename Body>
void parallel_for(int64_t count, int64_t grain, Body&& body) {
  parallel_pieces(count, piece_count(count, grain, max_pieces()),
                  [&](int thread, int, int64_t begin, int64_t end) { body(thread, begin, end); });
}

// These threads for kernels that are told where to run; each item is a piece.
Parallel pool_parallel();

// 64-byte aligned memory that belongs to (thread, slot) and stays until a larger block is asked for; contents are undefined.
// Throws std::bad_alloc. Slots keep the uses within one kernel apart.
enum class Slot { kPanel, kRows, kGrad, kTable, kStatistics, kExtra, kSpectrum, kProducts, kFilters, kPairs };
constexpr int kSlots = 10;
void* scratch_bytes(int thread, Slot slot, size_t bytes);

template <typename T>
T* scratch(int thread, Slot slot, int64_t count) {
  return static_cast<T*>(scratch_bytes(thread, slot, static_cast<size_t>(count) * sizeof(T)));
}

// Gives all scratch memory back. Not while a kernel runs.
void release_scratch();
size_t scratch_total_bytes();

}  // namespace bnn
