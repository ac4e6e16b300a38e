// A block of trivially copyable elements at the start of a cache line, zeroed.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

namespace bnn {

template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(size_t size) : size_(size) {
    data_ = static_cast<T*>(::operator new (bytes(), std::align_val_t{64}));
    std::memset(static_cast<void*>(data_), 0, bytes());
  }
  AlignedArray(AlignedArray&& other) noexcept { swap(other); }
  AlignedArray& operator=(AlignedArray&& other) noexcept {
    swap(other);
    return *this;
  }
  ~AlignedArray() { ::operator delete (data_, std::align_val_t{64}); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  void swap(AlignedArray& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  size_t bytes() const { return (size_ * sizeof(T) + 63) / 64 * 64 + 64; }

  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace bnn
