// Arguments of a call from JavaScript, checked. A check that fails throws ArgumentError, which the method wrapper turns into a
// JavaScript RangeError: nothing a caller passes may crash the process.
#pragma once

#include <node_api.h>

#include <cstdint>
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
struct Ints {
  const int32_t* data;
  int64_t operator[](int i) const { return data[i]; }
};

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
  Floats floats(size_t i, int64_t count = -1) const {
    size_t length = 0;
    float* data = static_cast<float*>(typed(i, napi_float32_array, &length));
    check_count(i, static_cast<int64_t>(length), count);
    return {data, static_cast<int64_t>(length)};
  }
  // Null data when the argument is null.
  Floats floats_or_null(size_t i, int64_t count) const {
    napi_valuetype type = napi_undefined;
    napi_typeof(env_, value(i), &type);
    return type == napi_null ? Floats{nullptr, 0} : floats(i, count);
  }
  Doubles doubles_or_null(size_t i, int64_t count) const {
    napi_valuetype type = napi_undefined;
    napi_typeof(env_, value(i), &type);
    if (type == napi_null || type == napi_undefined) return {nullptr, 0};
    size_t length = 0;
    double* data = static_cast<double*>(typed(i, napi_float64_array, &length));
    check_count(i, static_cast<int64_t>(length), count);
    return {data, static_cast<int64_t>(length)};
  }
  Ints ints(size_t i, int64_t count) const {
    size_t length = 0;
    const int32_t* data = static_cast<const int32_t*>(typed(i, napi_int32_array, &length));
    check_count(i, static_cast<int64_t>(length), count);
    return {data};
  }
  double number(size_t i) const {
    double number = 0.0;
    if (napi_get_value_double(env_, value(i), &number) != napi_ok) fail("argument " + std::to_string(i) + " is not a number");
    return number;
  }
  int64_t integer(size_t i, int64_t low, int64_t high) const {
    const double n = number(i);
    if (!(n >= static_cast<double>(low) && n <= static_cast<double>(high))) {
      fail("argument " + std::to_string(i) + " is " + std::to_string(n) + ", expected " + std::to_string(low) + " to " +
           std::to_string(high));
    }
    return static_cast<int64_t>(n);
  }
  bool flag(size_t i) const {
    bool flag = false;
    if (napi_get_value_bool(env_, value(i), &flag) != napi_ok) fail("argument " + std::to_string(i) + " is not a boolean");
    return flag;
  }

 private:
  void* typed(size_t i, napi_typedarray_type wanted, size_t* length) const {
    bool is_typed = false;
    napi_typedarray_type type = napi_int8_array;
    void* data = nullptr;
    napi_is_typedarray(env_, value(i), &is_typed);
    if (!is_typed || napi_get_typedarray_info(env_, value(i), &type, length, &data, nullptr, nullptr) != napi_ok || type != wanted) {
      fail("argument " + std::to_string(i) + " is not a typed array of the expected type");
    }
    return data;
  }
  static void check_count(size_t i, int64_t got, int64_t wanted) {
    if (wanted >= 0 && got != wanted) {
      fail("argument " + std::to_string(i) + " has " + std::to_string(got) + " elements, expected " + std::to_string(wanted));
    }
  }

  napi_env env_;
  size_t count_;
  napi_value values_[kMost] = {};
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
template <napi_value (*kFunction)(const Args&)>
napi_value method(napi_env env, napi_callback_info info) {
  try {
    const Args args(env, info);
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
void define_slope_table(napi_env env, napi_value exports);
void define_batch_norm(napi_env env, napi_value exports);
void define_movement(napi_env env, napi_value exports);

}  // namespace bnn_node
