// What is asked of the arguments of a call from JavaScript, wherever they lie: in Node-API's hands (node/args.h) or in the memory of a
// WebAssembly module (wasm/shim/node/args.h). The functions of this folder are compiled with either. A check that fails calls `fail`.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>

namespace bnn_node {

[[noreturn]] void fail(const std::string& message);

inline void require(bool condition, const char* what) {
  if (!condition) fail(what);
}

// Product of sizes, refused when it leaves the range that addresses are computed in.
template <typename... Sizes>
int64_t product(Sizes... sizes) {
  constexpr int64_t kMost = int64_t{1} << 40;
  int64_t total = 1;
  for (const int64_t size : {static_cast<int64_t>(sizes)...}) {
    require(size >= 0 && (size == 0 || total <= kMost / size), "tensor too large");
    total *= size;
  }
  return total;
}

// Whole numbers as they are, others to three digits. The library's own words for doubles are large in WebAssembly.
inline std::string in_words(double n) {
  if (std::isnan(n)) return "NaN";
  if (!(std::fabs(n) < 1e15)) return n > 0 ? "more than 1e15" : "less than -1e15";
  const auto thousandths = static_cast<int64_t>(std::llround((std::fabs(n) - std::floor(std::fabs(n))) * 1000.0)) % 1000;
  const std::string whole = (n < 0 ? "-" : "") + std::to_string(static_cast<int64_t>(std::floor(std::fabs(n))));
  if (std::floor(n) == n) return whole;
  return whole + "." + std::to_string(1000 + thousandths).substr(1);
}

struct Floats {
  float* data;  // null when the argument was null
  int64_t count;
};

enum class Elements { kFloats, kInts };

// What a kernel does with an array. Nothing may overlap a result, but a result in place may be one of the operands itself.
enum class Use { kRead, kResult, kResultInPlace };

// `Source` has, of argument i: `number_at(i)`, `is_null(i)`, `elements(i, Elements, &count)` and `claim(i, begin, end, Use)`, each of which
// may fail.
template <typename Source>
class CheckedArgs {
 public:
  // A Float32Array of exactly `count` elements (any number when count < 0).
  Floats floats(size_t i, int64_t count = -1) { return array(i, count, Use::kRead); }
  // The same, null data when the argument is null.
  Floats floats_or_null(size_t i, int64_t count) { return source().is_null(i) ? Floats{nullptr, 0} : floats(i, count); }
  // Arrays that the kernel writes. Some is read again while others are written, so none may overlap.
  Floats result(size_t i, int64_t count = -1) { return array(i, count, Use::kResult); }
  Floats result_in_place(size_t i, int64_t count) { return array(i, count, Use::kResultInPlace); }
  Floats result_or_null(size_t i, int64_t count) { return source().is_null(i) ? Floats{nullptr, 0} : result(i, count); }
  // A copy of an Int32Array.
  template <size_t kCount>
  std::array<int64_t, kCount> ints(size_t i) const {
    int64_t length = 0;
    const auto* data = static_cast<const int32_t*>(source().elements(i, Elements::kInts, &length));
    check_count(i, length, kCount);
    std::array<int64_t, kCount> values{};
    for (size_t k = 0; k < kCount; k++) values[k] = data[k];
    return values;
  }

  // Any number, NaN too; or one from `low` to `high`.
  double number(size_t i) const { return source().number_at(i); }
  double number(size_t i, double low, double high) const {
    const double n = number(i);
    if (!(n >= low && n <= high)) {
      fail("argument " + std::to_string(i) + " is " + in_words(n) + ", expected " + in_words(low) + " to " + in_words(high));
    }
    return n;
  }
  // As kernels take numbers: any; or infinite, but not NaN; or from `low` to `high`. What is beyond the floats becomes infinite.
  float single(size_t i) const { return to_float(number(i)); }
  float limit(size_t i) const {
    const double infinity = std::numeric_limits<double>::infinity();
    return to_float(number(i, -infinity, infinity));
  }
  float single(size_t i, double low, double high) const { return to_float(number(i, low, high)); }
  int64_t integer(size_t i, int64_t low, int64_t high) const {
    const double n = number(i, static_cast<double>(low), static_cast<double>(high));
    if (n != std::floor(n)) fail("argument " + std::to_string(i) + " is " + in_words(n) + ", expected a whole number");
    return static_cast<int64_t>(n);
  }

 private:
  Source& source() { return static_cast<Source&>(*this); }
  const Source& source() const { return static_cast<const Source&>(*this); }
  static float to_float(double n) {
    constexpr double kMost = std::numeric_limits<float>::max();
    if (std::fabs(n) <= kMost || std::isnan(n)) return static_cast<float>(n);
    return std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(n > 0 ? 1 : -1));
  }
  Floats array(size_t i, int64_t count, Use use) {
    int64_t length = 0;
    auto* data = static_cast<float*>(source().elements(i, Elements::kFloats, &length));
    check_count(i, length, count);
    if (length > 0) source().claim(i, data, data + length, use);
    return {data, length};
  }
  static void check_count(size_t i, int64_t got, int64_t wanted) {
    if (wanted >= 0 && got != wanted) {
      fail("argument " + std::to_string(i) + " has " + std::to_string(got) + " elements, expected " + std::to_string(wanted));
    }
  }
};

}  // namespace bnn_node
