// In place of native/node/args.h: the same checks on arguments that JavaScript has laid down in the module's memory, so that the
// functions of native/node are compiled as they are. A check that fails leaves its text in a buffer and traps: there are no exceptions.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>

// The little of Node-API that those functions name.
using napi_env = void*;
using napi_value = const double*;

namespace bnn_node {

// What JavaScript writes: src/backends/wasm/wasm-addon.ts.
enum ArgumentKind : uint32_t { kMissing, kNumber, kFlag, kNull, kFloats, kDoubles, kInts };
struct Argument {
  double number;
  uint32_t kind;
  uint32_t count;
  void* data;
  uint32_t unused;
};
constexpr size_t kMostArguments = 16;
extern Argument arguments[kMostArguments];
extern double result_number;

// Leaves the text for JavaScript and traps.
[[noreturn]] void fail(const std::string& message);

inline void napi_create_double(napi_env, double number, napi_value* value) {
  result_number = number;
  *value = &result_number;
}

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
  double* data;
  int64_t count;
};

class Args {
 public:
  napi_env env() const { return nullptr; }

  Floats floats(size_t i, int64_t count = -1) const { return {static_cast<float*>(array(i, kFloats, count)), count_of(i)}; }
  Floats floats_or_null(size_t i, int64_t count) const { return is_null(i) ? Floats{nullptr, 0} : floats(i, count); }
  // Overlap is checked where arrays are laid down.
  Floats result(size_t i, int64_t count = -1) const { return floats(i, count); }
  Floats result_in_place(size_t i, int64_t count) const { return floats(i, count); }
  Doubles double_result(size_t i, int64_t count = -1) const { return {static_cast<double*>(array(i, kDoubles, count)), count_of(i)}; }
  Doubles double_result_or_null(size_t i, int64_t count) const { return is_null(i) ? Doubles{nullptr, 0} : double_result(i, count); }

  template <size_t kCount>
  std::array<int64_t, kCount> ints(size_t i) const {
    const auto* data = static_cast<const int32_t*>(array(i, kInts, kCount));
    std::array<int64_t, kCount> values{};
    for (size_t k = 0; k < kCount; k++) values[k] = data[k];
    return values;
  }

  double number(size_t i) const { return argument(i, kNumber).number; }
  double number(size_t i, double low, double high) const {
    const double n = number(i);
    if (!(n >= low && n <= high)) fail("argument " + std::to_string(i) + " is out of its range");
    return n;
  }
  float single(size_t i) const { return to_float(number(i)); }
  float limit(size_t i) const {
    const double infinity = std::numeric_limits<double>::infinity();
    return to_float(number(i, -infinity, infinity));
  }
  float single(size_t i, double low, double high) const { return to_float(number(i, low, high)); }
  int64_t integer(size_t i, int64_t low, int64_t high) const {
    const double n = number(i, static_cast<double>(low), static_cast<double>(high));
    if (n != std::floor(n)) fail("argument " + std::to_string(i) + " is no whole number");
    return static_cast<int64_t>(n);
  }
  bool flag(size_t i) const { return argument(i, kFlag).number != 0.0; }

 private:
  static const Argument& argument(size_t i, ArgumentKind kind) {
    if (i >= kMostArguments || arguments[i].kind != kind) fail("argument " + std::to_string(i) + " is of another type");
    return arguments[i];
  }
  static bool is_null(size_t i) { return i < kMostArguments && arguments[i].kind == kNull; }
  static int64_t count_of(size_t i) { return arguments[i].count; }
  static void* array(size_t i, ArgumentKind kind, int64_t wanted) {
    const Argument& found = argument(i, kind);
    if (wanted >= 0 && found.count != wanted) {
      fail("argument " + std::to_string(i) + " has " + std::to_string(found.count) + " elements, expected " + std::to_string(wanted));
    }
    return found.data;
  }
  static float to_float(double n) {
    constexpr double kMost = std::numeric_limits<float>::max();
    if (std::fabs(n) <= kMost || std::isnan(n)) return static_cast<float>(n);
    return std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(n > 0 ? 1 : -1));
  }
};

using Function = napi_value (*)(Args&);

template <Function kFunction>
napi_value method(Args& args) {
  return kFunction(args);
}

// Adds a function to the table that JavaScript calls by index.
void define(napi_env env, napi_value exports, const char* name, Function function);

void define_convolutions(napi_env env, napi_value exports);
void define_elementwise(napi_env env, napi_value exports);
void define_sign_gradients(napi_env env, napi_value exports);
void define_batch_norm(napi_env env, napi_value exports);
void define_movement(napi_env env, napi_value exports);

}  // namespace bnn_node
