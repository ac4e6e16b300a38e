// Arguments of a call from JavaScript, checked. A check that fails throws ArgumentError, which the method wrapper turns into a
// JavaScript RangeError: nothing a caller passes may crash the process. A recorded call (node/program.h) passes the same checks.
//
// Arrays are read while the caller waits, so their memory cannot be detached or resized meanwhile. Shared memory can change, so
// integers, which become addresses, are copied before they are checked; no kernel computes an address from a float twice.
#pragma once

#include <node_api.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <new>
#include <string>

#include "node/checked_args.h"
#include "node_api/values.h"

namespace bnn_node {

struct ArgumentError {
  std::string message;
};

// An argument that was read before: of a call that is made again.
struct Recorded {
  enum class Kind { kNumber, kFlag, kNull, kFloats, kInts };
  Kind kind;
  double number;  // of a flag 0 or 1
  void* data;
  int64_t count;
};

class Args : public CheckedArgs<Args> {
 public:
  static constexpr size_t kMost = 16;

  Args(napi_env env, napi_callback_info info) : env_(env), count_(kMost) {
    if (napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr) != napi_ok) fail("cannot read the arguments");
  }
  // Without JavaScript, so on any thread: results cannot be returned.
  Args(const Recorded* recorded, size_t count) : env_(nullptr), recorded_(recorded), count_(count) {}
  napi_env env() const { return env_; }
  napi_value value(size_t i) const {
    if (i >= count_ || i >= kMost) fail("argument " + std::to_string(i) + " is missing");
    return values_[i];
  }

  double number_at(size_t i) const {
    if (recorded_ != nullptr) return recorded(i, Recorded::Kind::kNumber, "a number").number;
    double number = 0.0;
    if (napi_get_value_double(env_, value(i), &number) != napi_ok) fail("argument " + std::to_string(i) + " is not a number");
    return number;
  }
  std::string text(size_t i) const {
    std::string text;
    if (!bnn_node_api::read_text(env_, value(i), &text)) fail("argument " + std::to_string(i) + " is not a string");
    if (text.find('\0') != std::string::npos) fail("argument " + std::to_string(i) + " holds a zero character");
    return text;
  }
  bool flag(size_t i) const {
    if (recorded_ != nullptr) return recorded(i, Recorded::Kind::kFlag, "a boolean").number != 0.0;
    bool flag = false;
    if (napi_get_value_bool(env_, value(i), &flag) != napi_ok) fail("argument " + std::to_string(i) + " is not a boolean");
    return flag;
  }

  bool is_null(size_t i) const {
    if (recorded_ != nullptr) return i < count_ && recorded_[i].kind == Recorded::Kind::kNull;
    return bnn_node_api::type_of(env_, value(i)) == napi_null;
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
  void* elements(size_t i, Elements wanted, int64_t* count) const {
    if (recorded_ != nullptr) {
      const auto kind = wanted == Elements::kInts ? Recorded::Kind::kInts : Recorded::Kind::kFloats;
      const Recorded& array = recorded(i, kind, "a typed array of the expected type");
      *count = array.count;
      return array.data;
    }
    const napi_typedarray_type type = wanted == Elements::kFloats ? napi_float32_array : napi_int32_array;
    bnn_node_api::TypedArray array;
    if (!bnn_node_api::read_typed_array(env_, value(i), &array) || array.type != type) {
      fail("argument " + std::to_string(i) + " is not a typed array of the expected type");
    }
    *count = static_cast<int64_t>(array.count);
    return array.data;
  }

 private:
  struct Claim {
    size_t argument;
    const void* begin;
    const void* end;
    Use use;
  };

  const Recorded& recorded(size_t i, Recorded::Kind kind, const char* what) const {
    if (i >= count_) fail("argument " + std::to_string(i) + " is missing");
    if (recorded_[i].kind != kind) fail("argument " + std::to_string(i) + " is not " + what);
    return recorded_[i];
  }

  napi_env env_;
  const Recorded* recorded_ = nullptr;
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

constexpr const char* kOutOfMemory = "out of memory for the scratch space of a kernel";

using Function = napi_value (*)(Args&);

// body(args), with what it throws as an error of JavaScript.
template <typename Body>
napi_value guarded(napi_env env, napi_callback_info info, const Body& body) {
  try {
    Args args(env, info);
    return body(args);
  } catch (const ArgumentError& error) {
    napi_throw_range_error(env, nullptr, error.message.c_str());
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, nullptr, kOutOfMemory);
  }
  return nullptr;
}

// Wraps a function of Args (returning a napi_value or null for undefined) as a JavaScript function.
template <Function kFunction>
napi_value call(napi_env env, napi_callback_info info) {
  return guarded(env, info, [](Args& args) {
    const KernelLock lock;
    return kFunction(args);
  });
}

// A function as JavaScript calls it and as recorded calls do.
struct Method {
  napi_callback callback;
  Function function;
};
template <Function kFunction>
constexpr Method method{call<kFunction>, kFunction};

// Puts a kernel into `exports`, and among those that can be recorded.
void define(napi_env env, napi_value exports, const char* name, const Method& method);

}  // namespace bnn_node

#include "node/definitions.h"
