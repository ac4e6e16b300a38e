// Comparison and random data for the test executables.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace bnn_test {

// A heap block of exactly n floats, so that the address sanitizer sees any access beyond it.
class Floats {
 public:
  explicit Floats(int64_t n) : size_(n), data_(static_cast<float*>(std::malloc(static_cast<size_t>(n) * sizeof(float)))) {
    for (int64_t i = 0; i < n; i++) data_[i] = NAN;
  }
  ~Floats() { std::free(data_); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* data() { return data_; }
  int64_t size() const { return size_; }
  float& operator[](int64_t i) { return data_[i]; }

 private:
  int64_t size_;
  float* data_;
};

inline uint32_t& random_state() {
  static uint32_t state = 12345;
  return state;
}
inline uint32_t random_bits() {
  uint32_t& s = random_state();
  s ^= s << 13;
  s ^= s >> 17;
  s ^= s << 5;
  return s;
}
inline int64_t random_in(int64_t low, int64_t high) { return low + random_bits() % static_cast<uint32_t>(high - low + 1); }
inline float random_float() { return static_cast<float>(random_bits() % 20001) / 10000.0f - 1.0f; }
inline void fill_random(Floats& x) {
  for (int64_t i = 0; i < x.size(); i++) x[i] = random_float();
}
inline void fill_signs(Floats& x) {
  for (int64_t i = 0; i < x.size(); i++) x[i] = random_bits() % 2 == 0 ? 1.0f : -1.0f;
}

// All NaN, as when it was made: what a kernel leaves out is seen.
inline Floats& cleared(Floats& x) {
  for (int64_t i = 0; i < x.size(); i++) x[i] = NAN;
  return x;
}

inline int& failures() {
  static int count = 0;
  return count;
}

// |got − want| ≤ tolerance · (1 + |want|) everywhere; NaN fails.
inline void expect_close(Floats& got, Floats& want, double tolerance, const char* label, const char* what) {
  for (int64_t i = 0; i < want.size(); i++) {
    const double difference = std::fabs(static_cast<double>(got[i]) - want[i]);
    if (!(difference <= tolerance * (1.0 + std::fabs(static_cast<double>(want[i]))))) {
      std::printf("FAIL %s, %s: element %lld is %.9g, expected %.9g\n", what, label, static_cast<long long>(i), got[i], want[i]);
      failures()++;
      return;
    }
  }
}

// The same bits.
inline void expect_same(Floats& got, Floats& want, const char* label, const char* what) {
  if (std::memcmp(got.data(), want.data(), static_cast<size_t>(want.size()) * sizeof(float)) == 0) return;
  for (int64_t i = 0; i < want.size(); i++) {
    if (got[i] == want[i]) continue;
    std::printf("FAIL %s, %s: element %lld is %.9g, expected %.9g\n", what, label, static_cast<long long>(i), got[i], want[i]);
    break;
  }
  failures()++;
}

}  // namespace bnn_test
