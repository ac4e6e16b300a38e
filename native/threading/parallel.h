// How a kernel spreads its work: over the threads of whoever calls it, or not at all.
#pragma once

#include <cstddef>

namespace bnn {

// run(self, fn, total, data) calls fn(data, i) once for every i < total, on any threads, and returns when all have returned.
struct Parallel {
  void (*run)(const void* self, void (*fn)(void*, size_t), size_t total, void* data);
  const void* self;
};

// Everything on the calling thread.
inline Parallel serial() {
  return {[](const void*, void (*fn)(void*, size_t), size_t total, void* data) {
            for (size_t i = 0; i < total; i++) fn(data, i);
          },
          nullptr};
}

// `body(i)` for every i < total; with one item on the calling thread, without waking the others.
template <typename Body>
void parallel_for(const Parallel& parallel, size_t total, const Body& body) {
  if (total == 1) {
    body(size_t{0});
    return;
  }
  parallel.run(
      parallel.self, [](void* data, size_t i) { (*static_cast<const Body*>(data))(i); }, total, const_cast<Body*>(&body));
}

}  // namespace bnn
