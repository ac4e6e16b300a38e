// In place of native/node/args.h: the same checks on arguments that JavaScript has laid down in the module's memory, so that the
// functions of native/node are compiled as they are. A check that fails leaves its text in a buffer and traps (wasm/training.cc): there
// are no exceptions.
#pragma once

#include <cstdint>
#include <string>

#include "node/checked_args.h"

// The little of Node-API that those functions name.
using napi_env = void*;
using napi_value = const double*;

namespace bnn_node {

// What JavaScript writes: src/backends/wasm/wasm-addon.ts.
enum ArgumentKind : uint32_t { kMissing, kNumber, kFlag, kNull, kFloats, kInts };
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

inline void napi_create_double(napi_env, double number, napi_value* value) {
  result_number = number;
  *value = &result_number;
}

class Args : public CheckedArgs<Args> {
 public:
  napi_env env() const { return nullptr; }

  double number_at(size_t i) const { return argument(i, kNumber).number; }
  bool flag(size_t i) const { return argument(i, kFlag).number != 0.0; }
  bool is_null(size_t i) const { return i < kMostArguments && arguments[i].kind == kNull; }
  void* elements(size_t i, Elements wanted, int64_t* count) const {
    const Argument& found = argument(i, wanted == Elements::kFloats ? kFloats : kInts);
    *count = found.count;
    return found.data;
  }
  // The kernels of the backend never pass arrays that overlap, and JavaScript lays each down by itself.
  void claim(size_t, const void*, const void*, Use) const {}

 private:
  static const Argument& argument(size_t i, ArgumentKind kind) {
    if (i >= kMostArguments || arguments[i].kind != kind) fail("argument " + std::to_string(i) + " is of another type");
    return arguments[i];
  }
};

using Function = napi_value (*)(Args&);

template <Function kFunction>
napi_value method(Args& args) {
  return kFunction(args);
}

// Adds a function to the table that JavaScript calls by index.
void define(napi_env env, napi_value exports, const char* name, Function function);

}  // namespace bnn_node

#include "node/definitions.h"
