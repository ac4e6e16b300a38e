// What the libraries, which are built for one thread, do not lock: the heap, and the first use of a static variable.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "memory/spin_lock.h"

namespace {

bnn::SpinLock heap;

void* allocate(size_t bytes, size_t alignment) {
  if (bytes > SIZE_MAX - alignment) return nullptr;
  const bnn::Locked locked(heap);
  return std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
}

// There are no exceptions: JavaScript catches the trap.
void* allocate_or_trap(size_t bytes, size_t alignment) {
  void* const data = allocate(bytes, alignment);
  if (data == nullptr) __builtin_trap();
  return data;
}

void release(void* data) {
  const bnn::Locked locked(heap);
  std::free(data);
}

constexpr size_t kAlignment = 16;

}  // namespace

void* operator new(size_t bytes) { return allocate_or_trap(bytes, kAlignment); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes, kAlignment); }
void* operator new(size_t bytes, std::align_val_t to) { return allocate_or_trap(bytes, static_cast<size_t>(to)); }
void* operator new(size_t bytes, std::align_val_t to, const std::nothrow_t&) noexcept {
  return allocate(bytes, static_cast<size_t>(to));
}
void operator delete(void* data) noexcept { release(data); }
void operator delete(void* data, size_t) noexcept { release(data); }
void operator delete(void* data, std::align_val_t) noexcept { release(data); }
void operator delete(void* data, size_t, std::align_val_t) noexcept { release(data); }

// As the C++ ABI of WebAssembly wants them: a guard has 32 bits, the lowest says that its variable is there; the second byte is ours.
extern "C" {

int __cxa_guard_acquire(std::atomic<uint8_t>* guard) {
  while (guard[0].load() == 0) {
    if (guard[1].exchange(1) == 0) return 1;
  }
  return 0;
}
// It stays taken: nobody asks again.
void __cxa_guard_release(std::atomic<uint8_t>* guard) { guard[0].store(1); }

}  // extern "C"
