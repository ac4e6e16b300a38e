// Persistent worker threads and per-thread scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bnn {

// Threads that parallel_for uses, the calling one included. At least 1; at most kMaxThreads.
constexpr int kMaxThreads = 64;
int thread_count();
void set_thread_count(int count);

using RangeFunction = void (*)(void* context, int thread, int64_t begin, int64_t end);

// Cuts [0, count) into at most thread_count() contiguous ranges of at least `grain` items and runs them at the same time. The cut
// depends on count, grain and thread_count() only, never on timing, so that sums come out the same every time. Returns the number
// of ranges; range i runs as thread i. A call from inside a range runs serially. Callers on different threads must take turns (the
// Node binding holds one lock per kernel). Throws std::bad_alloc when a range did.
int parallel_ranges(int64_t count, int64_t grain, RangeFunction function, void* context);

// The number of ranges that parallel_ranges will make.
int range_count(int64_t count, int64_t grain);

template <typename Body>
int parallel_for(int64_t count, int64_t grain, Body&& body) {
  auto trampoline = [](void* context, int thread, int64_t begin, int64_t end) {
    (*static_cast<Body*>(context))(thread, begin, end);
  };
  return parallel_ranges(count, grain, trampoline, const_cast<void*>(static_cast<const void*>(&body)));
}

// 64-byte aligned memory that belongs to (thread, slot) and stays until a larger block is asked for; contents are undefined.
// Throws std::bad_alloc. Slots keep the uses within one kernel apart.
enum class Slot { kPanel = 0, kRows = 1, kGrad = 2, kTable = 3, kStatistics = 4, kExtra = 5 };
void* scratch_bytes(int thread, Slot slot, size_t bytes);

template <typename T>
T* scratch(int thread, Slot slot, int64_t count) {
  return static_cast<T*>(scratch_bytes(thread, slot, static_cast<size_t>(count) * sizeof(T)));
}

// Gives all scratch memory back. Not while a kernel runs.
void release_scratch();
size_t scratch_total_bytes();

}  // namespace bnn
