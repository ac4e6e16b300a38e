// Temporary memory that is reused from call to call: after warm-up nothing is allocated.
//
// Blocks belong to the process, not to a kernel, so what is held is bounded by the number of threads at work at one time.
#pragma once

#include <cstddef>

namespace bnn {

// A block of at least `bytes`, at the start of a cache line, contents undefined; returned to the pool at the end of its life.
class Scratch {
 public:
  explicit Scratch(size_t bytes);  // throws std::bad_alloc
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void* data() { return data_; }
  template <typename T>
  T* as() {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  size_t capacity_;
};

}  // namespace bnn
