// Arguments of a call from JavaScript, checked. A check that fails throws ArgumentError, which the method wrapper turns into a
// JavaScript RangeError: nothing a caller passes may crash the process.
//
// Arrays are read while the caller waits, so their memory cannot be detached or resized meanwhile. Shared memory can change, so
// integers, which become addresses, are copied before they are checked; no kernel computes an address from a float twice.
#pragma once

#include <node_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <initializer_list>
#include <new>
#include <string>

namespace bnn_node {

struct ArgumentError {
  std::string message;
};

[[noreturn]] inline void fail(const std::string& message) { throw ArgumentError{message}; }

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

struct Floats {
  float* data;
  int64_t count;
};
struct Doubles {
  double* data;  // null when the argument was null
  int64_t count;
};

// What a kernel does with an array. Nothing may overlap a result, but a result in place may be one of the operands itself.
enum class Use { kRead, kResult, kResultInPlace };

class Args {
 public:
  static constexpr size_t kMost = 16;

  Args(napi_env env, napi_callback_info info) : env_(env), count_(kMost) {
    if (napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr) != napi_ok) fail("cannot read the arguments");
  }
  napi_env env() const { return env_; }
  napi_value value(size_t i) const {
    if (i >= count_ || i >= kMost) fail("argument " + std::to_string(i) + " is missing");
    return values_[i];
  }

  // A Float32Array of exactly `count` elements (any number when count < 0).
  Floats floats(size_t i, int64_t count = -1) { return array<Floats, float>(i, napi_float32_array, count, Use::kRead); }
  // The same, null data when the argument is null.
  Floats floats_or_null(size_t i, int64_t count) { return is_null(i) ? Floats{nullptr, 0} : floats(i, count); }
  // Arrays that the kernel writes. Some is read again while others are written, so none may overlap.
  Floats result(size_t i, int64_t count = -1) { return array<Floats, float>(i, napi_float32_array, count, Use::kResult); }
  Floats result_in_place(size_t i, int64_t count) { return array<Floats, float>(i, napi_float32_array, count, Use::kResultInPlace); }
  Doubles double_result(size_t i, int64_t count = -1) { return array<Doubles, double>(i, napi_float64_array, count, Use::kResult); }
  Doubles double_result_or_null(size_t i, int64_t count) { return is_null(i) ? Doubles{nullptr, 0} : double_result(i, count); }
  // A copy of an Int32Array.
  template <size_t kCount>
  std::array<int64_t, kCount> ints(size_t i) const {
    size_t length = 0;
    const auto* data = static_cast<const int32_t*>(typed(i, napi_int32_array, &length));
    check_count(i, static_cast<int64_t>(length), kCount);
    std::array<int64_t, kCount> values{};
    for (size_t k = 0; k < kCount; k++) values[k] = data[k];
    return values;
  }

  // Any number, NaN too.
  double number(size_t i) const {
    double number = 0.0;
    if (napi_get_value_double(env_, value(i), &number) != napi_ok) fail("argument " + std::to_string(i) + " is not a number");
    return number;
  }
  // A number from `low` to `high`.
  double number(size_t i, double low, double high) const {
    const double n = number(i);
    if (!(n >= low && n <= high)) {
      fail("argument " + std::to_string(i) + " is " + std::to_string(n) + ", expected " + std::to_string(low) + " to " +
           std::to_string(high));
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
    if (n != std::floor(n)) fail("argument " + std::to_string(i) + " is " + std::to_string(n) + ", expected a whole number");
    return static_cast<int64_t>(n);
  }
  std::string text(size_t i) const {
    size_t length = 0;
    if (napi_get_value_string_utf8(env_, value(i), nullptr, 0, &length) != napi_ok)
      fail("argument " + std::to_string(i) + " is not a string");
    std::string text(length, '\0');
    napi_get_value_string_utf8(env_, value(i), text.data(), length + 1, &length);
    if (text.find('\0') != std::string::npos) fail("argument " + std::to_string(i) + " holds a zero character");
    return text;
  }
  bool flag(size_t i) const {
    bool flag = false;
    if (napi_get_value_bool(env_, value(i), &flag) != napi_ok) fail("argument " + std::to_string(i) + " is not a boolean");
    return flag;
  }

 private:
  bool is_null(size_t i) const {
    napi_valuetype type = napi_undefined;
    napi_typeof(env_, value(i), &type);
    return type == napi_null;
  }
  static float to_float(double n) {
    constexpr double kMost = std::numeric_limits<float>::max();
    if (std::fabs(n) <= kMost || std::isnan(n)) return static_cast<float>(n);
    return std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(n > 0 ? 1 : -1));
  }
  template <typename Array, typename Element>
  Array array(size_t i, napi_typedarray_type type, int64_t count, Use use) {
    size_t length = 0;
    auto* data = static_cast<Element*>(typed(i, type, &length));
    check_count(i, static_cast<int64_t>(length), count);
    if (length > 0) claim(i, data, data + length, use);
    return {data, static_cast<int64_t>(length)};
  }
  // Remembers the memory of an argument; fails where it meets another one's that is written.
  void claim(size_t i, const void* begin, const void* end, Use use) {
    const std::less<const void*> before;
    for (size_t k = 0; k < claim_count_; k++) {
      const Claim& other = claims_[k];
      if ((use == Use::kRead && other.use == Use::kRead) || !before(begin, other.end) || !before(other.begin, end)) continue;
      const bool one_reads = use == Use::kRead || other.use == Use::kRead;
      const bool in_place = use == Use::kResultInPlace || other.use == Use::kResultInPlace;
      if (one_reads && in_place && begin == other.begin && end == other.end) continue;
      fail("arguments " + std::to_string(std::min(i, other.argument)) + " and " + std::to_string(std::max(i, other.argument)) +
           " overlap");
    }
    claims_[claim_count_++] = {i, begin, end, use};
  }
  void* typed(size_t i, napi_typedarray_type wanted, size_t* length) const {
    bool is_typed = false;
    napi_typedarray_type type = napi_int8_array;
    void* data = nullptr;
    napi_value buffer = nullptr;
    size_t offset = 0;
    napi_is_typedarray(env_, value(i), &is_typed);
    if (!is_typed || napi_get_typedarray_info(env_, value(i), &type, length, &data, &buffer, &offset) != napi_ok || type != wanted) {
      fail("argument " + std::to_string(i) + " is not a typed array of the expected type");
    }
    // An array may be longer than what a resizable buffer has left. Shared buffers, which this does not know, never shrink.
    void* start = nullptr;
    size_t bytes = 0;
    const size_t element = type == napi_float64_array ? 8 : 4;
    if (napi_get_arraybuffer_info(env_, buffer, &start, &bytes) == napi_ok && (offset > bytes || *length > (bytes - offset) / element))
      *length = 0;
    return data;
  }
  static void check_count(size_t i, int64_t got, int64_t wanted) {
    if (wanted >= 0 && got != wanted) {
      fail("argument " + std::to_string(i) + " has " + std::to_string(got) + " elements, expected " + std::to_string(wanted));
    }
  }

  struct Claim {
    size_t argument;
    const void* begin;
    const void* end;
    Use use;
  };

  napi_env env_;
  size_t count_;
  napi_value values_[kMost] = {};
  Claim claims_[kMost] = {};
  size_t claim_count_ = 0;
};

// One kernel at a time: threads and scratch memory are shared by all JavaScript threads of the process.
void lock_kernels();
void unlock_kernels();

struct KernelLock {
  KernelLock() { lock_kernels(); }
  ~KernelLock() { unlock_kernels(); }
  KernelLock(const KernelLock&) = delete;
  KernelLock& operator=(const KernelLock&) = delete;
};

// Wraps a function of Args (returning a napi_value or null for undefined) as a JavaScript function.
template <napi_value (*kFunction)(Args&)>
napi_value method(napi_env env, napi_callback_info info) {
  try {
    Args args(env, info);
    const KernelLock lock;
    return kFunction(args);
  } catch (const ArgumentError& error) {
    napi_throw_range_error(env, nullptr, error.message.c_str());
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, nullptr, "out of memory for the scratch space of a kernel");
  }
  return nullptr;
}

inline void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

void define_convolutions(napi_env env, napi_value exports);
void define_elementwise(napi_env env, napi_value exports);
void define_sign_gradients(napi_env env, napi_value exports);
void define_batch_norm(napi_env env, napi_value exports);
void define_movement(napi_env env, napi_value exports);

}  // namespace bnn_node
